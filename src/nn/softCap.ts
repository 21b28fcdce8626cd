import { divide, multiply, type Tensor, tanh } from "../graph/index.js";

/** cap · tanh(x / cap): x itself near zero, never beyond ±cap. Without a cap, x. */
export const softCap = (x: Tensor, cap: number | undefined): Tensor =>
  cap === undefined ? x : multiply(tanh(divide(x, cap)), cap);
