import { multiply, subtract } from "./elementwise.js";
import { sum } from "./reduce.js";
import { apply1, expectFloat, type Operation, type Tensor } from "./tensor.js";

const softmaxOperation: Operation = {
  name: "softmax",
  infer: ([x]) => {
    expectFloat(x!);
    return [{ shape: x!.shape, dtype: "float32" }];
  },
  gradient: ({ outputs, outputGradients }) => {
    const [p, dp] = [outputs[0]!, outputGradients[0]!];
    return [multiply(p, subtract(dp, sum(multiply(dp, p), [-1])))];
  },
};

/** exp(x) / Σ exp(x) over the last axis. */
export const softmax = (x: Tensor): Tensor => apply1(softmaxOperation, [x]);
