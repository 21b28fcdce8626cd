import {
  addDims,
  type Dim,
  elementCount,
  formatDim,
  formatShape,
  type Shape,
  sameDim,
  sameShape,
} from "./dim.js";
import { apply1, type Operation, type Tensor } from "./tensor.js";

const reshapeOperation: Operation = {
  name: "reshape",
  infer: ([x], { shape }) => {
    const [from, to] = [elementCount(x!.shape), elementCount(shape as Shape)];
    if (!sameDim(from, to)) {
      throw new Error(
        `${formatDim(from)} elements cannot take shape ${formatShape(shape as Shape)}`,
      );
    }
    return [{ shape: shape as Shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs, outputGradients }) => [reshape(outputGradients[0]!, inputs[0]!.shape)],
  bytes: () => 0,
};

/** The same elements in row-major order under another shape. */
export const reshape = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply1(reshapeOperation, [x], { shape });

const transposeOperation: Operation = {
  name: "transpose",
  infer: ([x], { permutation }) => {
    const order = permutation as number[];
    if (order.length !== x!.shape.length || new Set(order).size !== order.length) {
      throw new Error(`[${order.join(", ")}] is no permutation of the axes`);
    }
    return [{ shape: order.map((axis) => x!.shape[axis]!), dtype: x!.dtype }];
  },
  gradient: ({ outputGradients, attributes }) => {
    const order = attributes.permutation as number[];
    const inverse = order.map((_, axis) => order.indexOf(axis));
    return [transpose(outputGradients[0]!, inverse)];
  },
};

/** Axis i of the result is axis `permutation[i]` of x. */
export const transpose = (x: Tensor, permutation: readonly number[]): Tensor =>
  apply1(transposeOperation, [x], { permutation });

const concatOperation: Operation = {
  name: "concat",
  infer: ([a, b], { axis }) => {
    const at = axis as number;
    const fits =
      a!.shape.length === b!.shape.length &&
      a!.shape.every((dim, i) => i === at || sameDim(dim, b!.shape[i]!));
    if (!fits) throw new Error(`shapes differ outside axis ${at}`);
    const shape = a!.shape.map((dim, i) => (i === at ? addDims(dim, b!.shape[at]!) : dim));
    return [{ shape, dtype: a!.dtype }];
  },
};

/** b after a along an axis. It puts scores of new keys behind those of cached ones and has no gradient. */
export const concat = (a: Tensor, b: Tensor, axis: number): Tensor =>
  apply1(concatOperation, [a, b], { axis });

const sliceOperation: Operation = {
  name: "slice",
  infer: ([x], { axis, size }) => {
    if ((axis as number) >= x!.shape.length) throw new Error(`has no axis ${axis}`);
    const shape = x!.shape.map((dim, i) => (i === axis ? (size as Dim) : dim));
    return [{ shape, dtype: x!.dtype }];
  },
};

/** `size` elements of an axis from `start` on. It takes apart what `concat` made, and has no gradient. */
export const slice = (x: Tensor, axis: number, start: Dim, size: Dim): Tensor =>
  apply1(sliceOperation, [x], { axis, start, size });

const barrierOperation: Operation = {
  name: "barrier",
  infer: ([x, after]) => {
    if (!sameShape(x!.shape, after!.shape)) throw new Error("shapes must be the same");
    return [{ shape: x!.shape, dtype: x!.dtype }];
  },
  bytes: () => 0,
};

/** x, but not before `after` (of the same shape) is computed. It keeps recomputation from starting early. */
export const barrier = (x: Tensor, after: Tensor): Tensor => apply1(barrierOperation, [x, after]);
