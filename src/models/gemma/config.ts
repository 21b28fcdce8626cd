import { join } from "node:path";
import { FacetError } from "../../errors.js";
import { readStrictJson } from "../../formats/strictJson.js";
import { parseGemmaConfig } from "./configFile.js";
import { type FamilyName, familyOf } from "./family.js";

export { parseGemmaConfig };

/** Layers that see only the tokens near them. */
export interface SlidingWindow {
  /** A query at position i sees a key at j ≤ i when i − j < length. */
  readonly length: number;
  /** For each layer, whether it sees through the window; the others see everything before. */
  readonly layers: readonly boolean[];
  /** Rotary base of these layers. */
  readonly ropeBase: number;
}

/** The shape and constants of a Gemma model. What is optional, Gemma 1 does not have. */
export interface GemmaConfig {
  /** Default: "gemma", which is Gemma 1. */
  readonly family?: FamilyName;
  readonly vocabularySize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** Rotary base of the layers that see everything. */
  readonly ropeBase: number;
  /** What positions are divided by before rotation, in the layers that see everything. Default: 1. */
  readonly ropeFactor?: number;
  /** Query · key is divided by the root of this. Default: `headDim`. */
  readonly queryScalar?: number;
  /** Bound of attention scores. Default: none. */
  readonly attentionSoftCap?: number;
  /** Bound of logits. Default: none. */
  readonly finalSoftCap?: number;
  /** Default: every layer sees everything. */
  readonly slidingWindow?: SlidingWindow;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  /** Module path of the text model inside the whole one, as PEFT names it. Default: "model". */
  readonly textPath?: string;
}

/** Reads a model folder's config.json. Throws a FacetError that names the key which does not fit. */
export const readGemmaConfig = (folder: string): GemmaConfig =>
  readGemmaConfigFile(join(folder, "config.json"));

export function readGemmaConfigFile(path: string): GemmaConfig {
  return parseGemmaConfig(readStrictJson(path), path);
}

/** The config.json that Transformers reads back for this model. Not for the text part of a larger one. */
export function toHuggingFaceConfig(config: GemmaConfig, dtype: string): Record<string, unknown> {
  if (config.textPath !== undefined) {
    throw new FacetError(
      `A config.json of the whole model cannot be made from its text part, ${config.textPath}.`,
    );
  }
  const { slidingWindow: window, ropeFactor } = config;
  return {
    architectures: [familyOf(config).architecture],
    model_type: config.family ?? "gemma",
    vocab_size: config.vocabularySize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKeyValueHeads,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    head_dim: config.headDim,
    hidden_act: "gelu_pytorch_tanh",
    hidden_activation: "gelu_pytorch_tanh",
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeBase,
    max_position_embeddings: config.maxPositions,
    attention_bias: false,
    attention_dropout: 0,
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    torch_dtype: dtype,
    ...(window && {
      query_pre_attn_scalar: config.queryScalar ?? config.headDim,
      attn_logit_softcapping: config.attentionSoftCap ?? null,
      final_logit_softcapping: config.finalSoftCap ?? null,
      sliding_window: window.length,
      layer_types: window.layers.map((local) => (local ? "sliding_attention" : "full_attention")),
      rope_local_base_freq: window.ropeBase,
      rope_scaling: ropeFactor === undefined ? null : { rope_type: "linear", factor: ropeFactor },
    }),
  };
}
