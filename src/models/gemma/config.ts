import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { FacetError } from "../../errors.js";

/** The shape and constants of a Gemma model. */
export interface GemmaConfig {
  readonly vocabularySize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  readonly ropeBase: number;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
}

const positive = z.int().positive();

/** config.json as Hugging Face writes it for Gemma 1; keys that do not change the arithmetic are left alone. */
const schema = z.object({
  vocab_size: positive,
  num_hidden_layers: positive,
  num_attention_heads: positive,
  num_key_value_heads: positive,
  hidden_size: positive,
  intermediate_size: positive,
  head_dim: positive.multipleOf(2),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().optional(),
  rope_parameters: z.object({ rope_theta: z.number().positive() }).optional(),
  rope_scaling: z.null("rope_scaling is not part of Gemma 1").optional(),
  attention_bias: z.literal(false, "Gemma 1 has no attention bias").default(false),
  tie_word_embeddings: z.literal(true, "Gemma 1 ties its head to its embedding").default(true),
  max_position_embeddings: positive.default(8192),
  // All of these mean the tanh approximation, whatever the file says (Transformers PR 29402).
  hidden_act: z.enum(["gelu", "gelu_pytorch_tanh"]).default("gelu_pytorch_tanh"),
});

/** Reads a model folder's config.json. Throws a FacetError that names the key which does not fit. */
export const readGemmaConfig = (folder: string): GemmaConfig =>
  readGemmaConfigFile(join(folder, "config.json"));

export function readGemmaConfigFile(path: string): GemmaConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new FacetError(`Cannot read ${path}: ${(error as Error).message}`);
  }
  return parseGemmaConfig(json, path);
}

export function parseGemmaConfig(json: unknown, path: string): GemmaConfig {
  const type = (json as { model_type?: unknown } | null)?.model_type;
  if (type !== "gemma") {
    throw new FacetError(
      `${path}: model_type is ${JSON.stringify(type)}; this version of Facet trains "gemma" (Gemma 1) models.`,
    );
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new FacetError(`${path}: ${z.prettifyError(parsed.error)}`);
  const c = parsed.data;
  if (c.num_attention_heads % c.num_key_value_heads !== 0) {
    throw new FacetError(
      `${path}: num_attention_heads (${c.num_attention_heads}) must be a multiple of num_key_value_heads (${c.num_key_value_heads}).`,
    );
  }
  return {
    vocabularySize: c.vocab_size,
    numLayers: c.num_hidden_layers,
    numHeads: c.num_attention_heads,
    numKeyValueHeads: c.num_key_value_heads,
    hiddenSize: c.hidden_size,
    intermediateSize: c.intermediate_size,
    headDim: c.head_dim,
    rmsNormEps: c.rms_norm_eps,
    ropeBase: c.rope_parameters?.rope_theta ?? c.rope_theta ?? 10_000,
    maxPositions: c.max_position_embeddings,
  };
}

/** The config.json that Transformers reads back for this model. */
export function toHuggingFaceConfig(config: GemmaConfig, dtype: string): Record<string, unknown> {
  return {
    architectures: ["GemmaForCausalLM"],
    model_type: "gemma",
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
  };
}
