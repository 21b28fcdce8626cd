import { constant, lessOrEqual, multiply, select, type Tensor, uniform } from "../graph/index.js";

/** How a forward pass drops: which share, and from which random numbers. */
export interface Dropout {
  /** Probability of dropping an element, in (0, 1). */
  readonly rate: number;
  /** int32 scalar, another one at every step. */
  readonly seed: Tensor;
}

/**
 * Zeroes elements with probability `rate` and scales the others by 1 / (1 − rate) (Srivastava et
 * al. 2014). Calls of one forward pass use different streams.
 */
export function dropout(x: Tensor, { rate, seed }: Dropout, stream: number): Tensor {
  const dropped = lessOrEqual(uniform(seed, x.shape, stream), constant(rate));
  return multiply(x, select(dropped, 0, 1 / (1 - rate)));
}
