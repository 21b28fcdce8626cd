/** The adapter of one linear layer, y = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ, so ΔW = scale·B·A. */
export interface LoraMatrices {
  /** [rank, inFeatures], row-major. */
  readonly a: Float32Array;
  /** [outFeatures, rank], row-major. */
  readonly b: Float32Array;
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly scale: number;
  /**
   * Of a DoRA adapter (Liu et al. 2024, arXiv 2402.09353), [outFeatures]: row i of the weight becomes
   * magnitude[i] · (W + ΔW)[i] / ‖(W + ΔW)[i]‖.
   */
  readonly magnitude?: Float32Array;
}
