import { multiply } from "./elementwise.js";
import { broadcastTo, positiveAxes, reducedShape } from "./reduce.js";
import { apply1, expectFloat, type Operation, type Tensor } from "./tensor.js";

const meanOperation: Operation = {
  name: "mean",
  infer: ([x], { axes }) => {
    for (const axis of axes as number[]) {
      if (typeof x!.shape[axis] !== "number") throw new Error("the mean needs a fixed dimension");
    }
    expectFloat(x!);
    return [{ shape: reducedShape(x!.shape, axes as number[]), dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients, attributes }) => {
    const [x] = inputs as [Tensor];
    const count = (attributes.axes as number[]).reduce(
      (n, axis) => n * (x.shape[axis] as number),
      1,
    );
    return [broadcastTo(multiply(outputGradients[0]!, 1 / count), x.shape)];
  },
};

/** Mean over `axes`, which must be of fixed length and stay with length 1. */
export function mean(x: Tensor, axes: readonly number[]): Tensor {
  return apply1(meanOperation, [x], { axes: positiveAxes(axes, x.shape.length) });
}
