import { broadcastShapes, type Dim, formatShape, type Shape, sameDim, sameShape } from "./dim.js";
import { reshape } from "./layout.js";
import { apply1, expectFloat, type Operation, type Tensor } from "./tensor.js";

/** Axes counted from the front; reduced axes stay with length 1. */
export const reducedShape = (shape: Shape, axes: readonly number[]): Shape =>
  shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));

const sumOperation: Operation = {
  name: "sum",
  infer: ([x], { axes }) => {
    expectFloat(x!);
    return [{ shape: reducedShape(x!.shape, axes as number[]), dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients }) => [broadcastTo(outputGradients[0]!, inputs[0]!.shape)],
};

export const positiveAxes = (axes: readonly number[], rank: number) =>
  axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);

/** Sum over `axes` (all of them when not given), which stay with length 1. */
export function sum(x: Tensor, axes: readonly number[] = x.shape.map((_, axis) => axis)): Tensor {
  return apply1(sumOperation, [x], { axes: positiveAxes(axes, x.shape.length) });
}

/** Sums away what broadcasting from `shape` added: the gradient of a broadcast. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const extra = x.shape.length - shape.length;
  const axes = x.shape.flatMap((dim: Dim, axis: number) => {
    const target = axis < extra ? 1 : shape[axis - extra]!;
    if (sameDim(dim, target)) return [];
    if (target === 1) return [axis];
    throw new Error(`cannot sum ${formatShape(x.shape)} to ${formatShape(shape)}`);
  });
  const summed = axes.length > 0 ? sum(x, axes) : x;
  return extra > 0 ? reshape(summed, shape) : summed;
}

const broadcastOperation: Operation = {
  name: "broadcast",
  infer: ([x], { shape }) => {
    if (!sameShape(broadcastShapes(x!.shape, shape as Shape), shape as Shape)) {
      throw new Error(`does not broadcast to ${formatShape(shape as Shape)}`);
    }
    return [{ shape: shape as Shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs, outputGradients }) => [sumTo(outputGradients[0]!, inputs[0]!.shape)],
};

export const broadcastTo = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply1(broadcastOperation, [x], { shape });
