import { rmsNorm, type Tensor } from "../graph/index.js";

/** A root-mean-square norm: its scales, `[D]`, and what is added to the mean square. */
export interface Norm {
  readonly scale: Tensor;
  readonly epsilon: number;
}

/** The norm of x over its last axis; x itself where a model has no norm. x `[..., D]`. */
export const norm = (x: Tensor, n: Norm | undefined): Tensor =>
  n === undefined ? x : rmsNorm(x, n.scale, n.epsilon);
