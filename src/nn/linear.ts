import { add, matmul, type Tensor } from "../graph/index.js";

/** What an adapter adds to a linear layer's output: x `[N, in]` to `[N, out]`. */
export type Delta = (x: Tensor) => Tensor;

export interface Linear {
  /** `[out, in]`, in any stored type. */
  readonly weight: Tensor;
  readonly delta?: Delta | undefined;
}

/** A linear layer by name and size: what an adapter needs to know to attach to it. */
export interface LinearModule {
  /** Path in the Hugging Face model, for example `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  /** Short name as in PEFT's target_modules, for example `q_proj`. */
  readonly target: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Attention heads that the input or the output is divided into; 1 where there are none. */
  readonly heads: number;
  readonly headsOf: "input" | "output";
  readonly layer: number;
}

/** x Wᵀ, plus what the layer's adapter adds. x `[N, in]`, result `[N, out]`. */
export function linear(x: Tensor, layer: Linear): Tensor {
  const y = matmul(x, layer.weight, { transposeB: true });
  return layer.delta ? add(y, layer.delta(x)) : y;
}
