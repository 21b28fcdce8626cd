import { sameShape } from "./dim.js";
import { add, divide, multiply, sqrt, subtract } from "./elementwise.js";
import { mean } from "./mean.js";
import { sumTo } from "./reduce.js";
import { apply, expectFloat, type Operation, type Tensor } from "./tensor.js";

const rmsNormOperation: Operation = {
  name: "rmsNorm",
  infer: ([x, scale]) => {
    expectFloat(x!, scale!);
    if (!sameShape(scale!.shape, x!.shape.slice(-1))) throw new Error("one scale per feature");
    const rows = x!.shape.slice(0, -1);
    return [
      { shape: x!.shape, dtype: "float32" },
      { shape: [...rows, 1], dtype: "float32" },
    ];
  },
  gradient: ({ inputs, outputs, outputGradients, needs }) => {
    const [x, scale] = inputs as [Tensor, Tensor];
    const [dy, dInverse] = outputGradients;
    if (dy === undefined || dInverse !== undefined) {
      throw new Error("rmsNorm: its gradient cannot be differentiated again");
    }
    const normalized = multiply(x, outputs[1]!);
    const dx = () => {
      const g = multiply(dy, scale);
      const along = mean(multiply(normalized, g), [-1]);
      return multiply(outputs[1]!, subtract(g, multiply(normalized, along)));
    };
    return [
      needs[0] ? dx() : undefined,
      needs[1] ? sumTo(multiply(dy, normalized), scale.shape) : undefined,
    ];
  },
  expand: ([x, scale], { epsilon }) => {
    const rms = sqrt(add(mean(multiply(x!, x!), [-1]), epsilon as number));
    const inverse = divide(1, rms);
    return [multiply(multiply(x!, inverse), scale!), inverse];
  },
};

/**
 * x / √(mean(x²) + ε) · scale over the last axis, in float32 (Zhang and Sennrich 2019,
 * arXiv:1910.07467). x `[..., D]`, scale `[D]`; Gemma's scale is 1 + weight.
 */
export const rmsNorm = (x: Tensor, scale: Tensor, epsilon: number): Tensor =>
  apply(rmsNormOperation, [x, scale], { epsilon })[0]!;
