import { z } from "zod";
import { FacetError } from "../../errors.js";
import { excerpt } from "../../formats/strictJson.js";
import { listOf } from "../../validation.js";
import type { GemmaConfig } from "./config.js";
import { type FamilyName, families, localLayers, MAX_LAYERS } from "./family.js";

// config.json as Hugging Face writes it, in the older keys and in those of Transformers 5. Keys that
// do not change the arithmetic are left alone. Defaults are those of Transformers.

const positive = z.int().positive();
const real = z.number().positive();
const plainRope = z.object({ rope_theta: real, rope_type: z.literal("default").optional() });
const linearScaling = z.object({ rope_type: z.literal("linear"), factor: real });
// Both of these mean the tanh approximation, whatever the file says (Transformers PR 29402).
const activation = z.enum(["gelu", "gelu_pytorch_tanh"]);
type Window = "sliding_attention" | "full_attention";
const isWindow = (value: unknown): value is Window =>
  value === "sliding_attention" || value === "full_attention";
const windows = listOf(isWindow, 'expected a list of "sliding_attention" and "full_attention"');

const common = z.object({
  vocab_size: positive,
  num_hidden_layers: positive.max(MAX_LAYERS),
  num_attention_heads: positive,
  num_key_value_heads: positive,
  hidden_size: positive,
  intermediate_size: positive,
  head_dim: positive.multipleOf(2),
  rms_norm_eps: real.default(1e-6),
  attention_bias: z.literal(false, "Gemma has no attention bias").default(false),
  tie_word_embeddings: z.literal(true, "Gemma ties its head to its embedding").default(true),
  max_position_embeddings: positive.default(8192),
});

const oneRope = {
  rope_theta: real.optional(),
  rope_parameters: plainRope.optional(),
  rope_scaling: z.null("rope_scaling is not part of Gemma 1 or 2").optional(),
};

const later = common.extend({
  hidden_activation: activation.nullish(),
  query_pre_attn_scalar: real.default(256),
  sliding_window: positive,
  layer_types: windows.nullish(),
  use_bidirectional_attention: z.literal(false, "Facet's Gemma looks backwards only").nullish(),
});

const schemas = {
  gemma: common.extend({ ...oneRope, hidden_act: activation.optional() }),
  gemma2: later.extend({
    ...oneRope,
    attn_logit_softcapping: real.nullable().default(50),
    final_logit_softcapping: real.nullable().default(30),
  }),
  gemma3_text: later.extend({
    attn_logit_softcapping: real.nullable().default(null),
    final_logit_softcapping: real.nullable().default(null),
    sliding_window_pattern: positive.nullish(),
    rope_theta: real.default(1e6),
    rope_local_base_freq: real.default(1e4),
    rope_scaling: linearScaling.nullish(),
    rope_parameters: z
      .object({
        full_attention: z.union([plainRope, linearScaling.extend({ rope_theta: real })]),
        sliding_attention: plainRope,
      })
      .optional(),
    max_position_embeddings: positive.default(131_072),
  }),
} as const satisfies Record<FamilyName, z.ZodType>;

/** What the text part of a multimodal Gemma 3 leaves out (Gemma3TextConfig of Transformers). */
const textDefaults = {
  vocab_size: 262_208,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
};

/**
 * The model that the contents of a config.json describe. `path` is for the errors: a FacetError names
 * it and the key which does not fit.
 */
export function parseGemmaConfig(json: unknown, path: string): GemmaConfig {
  const type = (json as { model_type?: unknown } | null)?.model_type;
  if (type === "gemma") return gemma1(check("gemma", json, path));
  if (type === "gemma2") return gemma2(check("gemma2", json, path), path);
  if (type === "gemma3_text") return gemma3(check("gemma3_text", json, path), path);
  if (type === "gemma3") {
    const text = { ...textDefaults, ...(json as { text_config?: object }).text_config };
    return { ...gemma3(check("gemma3_text", text, path), path), textPath: "model.language_model" };
  }
  throw new FacetError(
    `${path}: model_type is ${excerpt(type)}; Facet trains ${Object.keys(families)
      .map((name) => `"${name}"`)
      .join(", ")} and the text part of "gemma3".`,
  );
}

function check<F extends FamilyName>(
  family: F,
  json: unknown,
  path: string,
): z.infer<(typeof schemas)[F]> {
  const parsed = schemas[family].safeParse(json);
  if (!parsed.success) {
    throw new FacetError(
      `${path}: model_type is "${family}", but:\n${z.prettifyError(parsed.error)}`,
    );
  }
  const c = parsed.data as z.infer<(typeof schemas)[F]>;
  if (c.num_attention_heads % c.num_key_value_heads !== 0) {
    throw new FacetError(
      `${path}: num_attention_heads (${c.num_attention_heads}) must be a multiple of num_key_value_heads (${c.num_key_value_heads}).`,
    );
  }
  return c;
}

const sizes = (c: z.infer<typeof common>) => ({
  vocabularySize: c.vocab_size,
  numLayers: c.num_hidden_layers,
  numHeads: c.num_attention_heads,
  numKeyValueHeads: c.num_key_value_heads,
  hiddenSize: c.hidden_size,
  intermediateSize: c.intermediate_size,
  headDim: c.head_dim,
  rmsNormEps: c.rms_norm_eps,
  maxPositions: c.max_position_embeddings,
});

type RopeKeys = {
  rope_theta?: number | undefined;
  rope_parameters?: { rope_theta: number } | undefined;
};
const ropeBase = (c: RopeKeys) => c.rope_parameters?.rope_theta ?? c.rope_theta ?? 10_000;

const gemma1 = (c: z.infer<typeof schemas.gemma>): GemmaConfig => ({
  ...sizes(c),
  ropeBase: ropeBase(c),
});

function gemma2(c: z.infer<typeof schemas.gemma2>, path: string): GemmaConfig {
  const base = ropeBase(c);
  const layers = windowLayers(c, families.gemma2.globalEvery, path);
  return {
    family: "gemma2",
    ...sizes(c),
    ...scores(c),
    ropeBase: base,
    slidingWindow: { length: c.sliding_window, layers, ropeBase: base },
  };
}

function gemma3(c: z.infer<typeof schemas.gemma3_text>, path: string): GemmaConfig {
  const { full_attention: full, sliding_attention: sliding } = c.rope_parameters ?? {};
  const scaling = full ?? c.rope_scaling;
  const every = c.sliding_window_pattern ?? families.gemma3_text.globalEvery;
  return {
    family: "gemma3_text",
    ...sizes(c),
    ...scores(c),
    ropeBase: full?.rope_theta ?? c.rope_theta,
    ...(scaling && "factor" in scaling && { ropeFactor: scaling.factor }),
    slidingWindow: {
      length: c.sliding_window,
      layers: windowLayers(c, every, path),
      ropeBase: sliding?.rope_theta ?? c.rope_local_base_freq,
    },
  };
}

const scores = (c: z.infer<typeof schemas.gemma2 | typeof schemas.gemma3_text>) => ({
  queryScalar: c.query_pre_attn_scalar,
  ...(c.attn_logit_softcapping !== null && { attentionSoftCap: c.attn_logit_softcapping }),
  ...(c.final_logit_softcapping !== null && { finalSoftCap: c.final_logit_softcapping }),
});

function windowLayers(c: z.infer<typeof later>, globalEvery: number, path: string): boolean[] {
  const types = c.layer_types;
  if (!types) return localLayers(c.num_hidden_layers, globalEvery);
  if (types.length !== c.num_hidden_layers) {
    throw new FacetError(
      `${path}: layer_types lists ${types.length} layers, num_hidden_layers is ${c.num_hidden_layers}.`,
    );
  }
  return types.map((type) => type === "sliding_attention");
}
