import { apply1, type Operation, type Tensor } from "./tensor.js";

const stopGradientOperation: Operation = {
  name: "stopGradient",
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  gradient: () => [undefined],
  bytes: () => 0,
};

/** x, which the backward pass takes for a constant. */
export const stopGradient = (x: Tensor): Tensor => apply1(stopGradientOperation, [x]);
