import { add, multiply, subtract, type Tensor, uniform } from "../graph/index.js";

/** Where a forward pass takes its noise from. */
export interface EmbeddingNoise {
  /** int32 scalar, another one at every step. */
  readonly seed: Tensor;
  /** Largest magnitude of an element's noise, a scalar: alpha / √(length · width) for NEFTune. */
  readonly size: Tensor;
}

/** No dropout has this stream: there is one for each linear layer. */
const stream = 1_000_003;

/**
 * x + size · U(−1, 1): NEFTune's noise on the embedded tokens (Jain et al. 2023, arXiv:2310.05914,
 * algorithm 1), in training only. x as it is looked up in the table, before Gemma scales it.
 */
export function withNoise(x: Tensor, noise: EmbeddingNoise | undefined): Tensor {
  if (noise === undefined) return x;
  const unit = uniform(noise.seed, x.shape, stream);
  return add(x, multiply(subtract(multiply(unit, 2), 1), noise.size));
}
