import { matmul, type Tensor } from "../graph/index.js";

/** What an adapter makes of a linear layer's output y `[N, out]` for its input x `[N, in]`. */
export type Adaptation = (x: Tensor, y: Tensor) => Tensor;

export interface Linear {
  /** `[out, in]`, in any stored type. */
  readonly weight: Tensor;
  readonly adapt?: Adaptation | undefined;
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
  /** Place among Keras's layers, which is the layer's name in a `.lora.h5` file. */
  readonly kerasIndex: number;
}

/** x Wᵀ, or what the layer's adapter makes of it. x `[N, in]`, result `[N, out]`. */
export function linear(x: Tensor, layer: Linear): Tensor {
  const y = matmul(x, layer.weight, { transposeB: true });
  return layer.adapt ? layer.adapt(x, y) : y;
}
