import { z } from "zod";
import { FacetError } from "../../errors.js";
import type { GemmaConfig } from "./config.js";
import { type FamilyName, families, localLayers, MAX_LAYERS } from "./family.js";

/** A backbone's configuration as KerasHub saves it (gemma_backbone.py and gemma3_backbone.py, `get_config`). */

const positive = z.int().positive();
const bound = z.number().positive().nullable().default(null);
const never = (what: string) =>
  z.union([z.null(), z.literal(false), z.literal(0)], what).optional();

const backbone = z.object({
  vocabulary_size: positive,
  num_layers: positive.max(MAX_LAYERS),
  num_query_heads: positive,
  num_key_value_heads: positive,
  hidden_dim: positive,
  intermediate_dim: positive,
  head_dim: positive.multipleOf(2),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  query_head_dim_normalize: z.boolean().default(true),
  use_post_ffw_norm: z.boolean().default(false),
  use_post_attention_norm: z.boolean().default(false),
  final_logit_soft_cap: bound,
  attention_logit_soft_cap: bound,
  use_sliding_window_attention: z.boolean().default(false),
  sliding_window_size: positive.optional(),
  dropout: never("dropout inside the base model is not part of Facet"),
  use_query_key_norm: z.literal(true, "Facet's Gemma 3 has norms of queries and keys").optional(),
  local_rope_scaling_factor: z.literal(1, "Facet scales no positions of local layers").optional(),
  global_rope_scaling_factor: z.number().positive().default(1),
  vision_encoder: never("Facet trains text models; use the preset's _text variant"),
  use_bidirectional_attention: never("Facet's Gemma looks backwards only"),
  is_embedding_model: never("Facet's Gemma generates text"),
});

const fileSchema = z.object({
  class_name: z.enum(["GemmaBackbone", "Gemma3Backbone"]),
  config: backbone,
});

/** Longest sequences, which KerasHub does not save. */
const maxPositions = { gemma: 8192, gemma2: 8192, gemma3_text: 32_768 } as const;

/** The model that a preset's config.json describes. `path` is for the errors. */
export function fromKerasConfig(json: unknown, path: string): GemmaConfig {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    throw new FacetError(
      `${path}: not the configuration of a Keras backbone that Facet knows:\n${z.prettifyError(parsed.error)}`,
    );
  }
  const { class_name, config: c } = parsed.data;
  const refuse = (what: string) => new FacetError(`${path}: ${what}.`);
  if (c.use_post_ffw_norm !== c.use_post_attention_norm) {
    throw refuse("no Gemma has only one of use_post_ffw_norm and use_post_attention_norm");
  }
  if (c.num_query_heads % c.num_key_value_heads !== 0) {
    throw refuse(`${c.num_query_heads} query heads are no multiple of ${c.num_key_value_heads}`);
  }
  const isGemma3 = class_name === "Gemma3Backbone";
  const family: FamilyName = isGemma3 ? "gemma3_text" : c.use_post_ffw_norm ? "gemma2" : "gemma";
  if (isGemma3 && !c.use_post_ffw_norm) throw refuse("Facet's Gemma 3 has post norms");
  const { intermediateFactor } = kerasConstants[family];
  const sizes = {
    vocabularySize: c.vocabulary_size,
    numLayers: c.num_layers,
    numHeads: c.num_query_heads,
    numKeyValueHeads: c.num_key_value_heads,
    hiddenSize: c.hidden_dim,
    intermediateSize: c.intermediate_dim / intermediateFactor,
    headDim: c.head_dim,
    rmsNormEps: c.layer_norm_epsilon,
    ropeBase: kerasConstants[family].ropeBase,
    maxPositions: maxPositions[family],
  };
  if (family === "gemma") {
    if (c.use_sliding_window_attention || c.attention_logit_soft_cap || c.final_logit_soft_cap) {
      throw refuse("Gemma 1 has neither a sliding window nor bounded scores");
    }
    return sizes;
  }
  if (!c.use_sliding_window_attention) throw refuse("Gemma 2 and 3 have layers with a window");
  const layers = localLayers(c.num_layers, families[family].globalEvery);
  return {
    family,
    ...sizes,
    queryScalar: c.query_head_dim_normalize ? c.head_dim : c.hidden_dim / c.num_query_heads,
    ...(c.attention_logit_soft_cap !== null && { attentionSoftCap: c.attention_logit_soft_cap }),
    ...(c.final_logit_soft_cap !== null && { finalSoftCap: c.final_logit_soft_cap }),
    ...(c.global_rope_scaling_factor !== 1 && { ropeFactor: c.global_rope_scaling_factor }),
    slidingWindow: {
      length: c.sliding_window_size ?? kerasConstants[family].window,
      layers,
      ropeBase: 10_000,
    },
  };
}

/** What KerasHub has in its code instead of its configuration. */
const kerasConstants = {
  // KerasHub counts gate and up together.
  gemma: { intermediateFactor: 2, ropeBase: 10_000, window: 4096 },
  gemma2: { intermediateFactor: 2, ropeBase: 10_000, window: 4096 },
  gemma3_text: { intermediateFactor: 1, ropeBase: 1_000_000, window: 1024 },
} as const;

/** The way back: `config` of a backbone. Throws a FacetError for what KerasHub's classes cannot be told. */
export function toKerasConfig(config: GemmaConfig): Record<string, unknown> {
  const { family = "gemma", slidingWindow: window, queryScalar = config.headDim } = config;
  const refuse = (what: string) => new FacetError(`KerasHub's ${family} has no place for ${what}.`);
  const { intermediateFactor, ropeBase } = kerasConstants[family];
  const perHead = config.hiddenSize / config.numHeads;
  if (queryScalar !== config.headDim && queryScalar !== perHead) {
    throw refuse(`a query scale of ${queryScalar}^-½`);
  }
  if (config.ropeBase !== ropeBase || (window && window.ropeBase !== 10_000)) {
    throw refuse(`a rotary base of ${config.ropeBase}`);
  }
  const usual = localLayers(config.numLayers, families[family].globalEvery);
  if (window && window.layers.join() !== usual.join()) {
    throw refuse("this order of local and global layers");
  }
  const isGemma3 = family === "gemma3_text";
  if (config.ropeFactor !== undefined && !isGemma3) throw refuse("scaled positions");
  const hasPostNorms = family !== "gemma";
  return {
    vocabulary_size: config.vocabularySize,
    num_layers: config.numLayers,
    num_query_heads: config.numHeads,
    num_key_value_heads: config.numKeyValueHeads,
    hidden_dim: config.hiddenSize,
    intermediate_dim: config.intermediateSize * intermediateFactor,
    head_dim: config.headDim,
    layer_norm_epsilon: config.rmsNormEps,
    dropout: 0,
    query_head_dim_normalize: queryScalar === config.headDim,
    use_post_ffw_norm: hasPostNorms,
    use_post_attention_norm: hasPostNorms,
    final_logit_soft_cap: config.finalSoftCap ?? null,
    attention_logit_soft_cap: config.attentionSoftCap ?? null,
    sliding_window_size: window?.length ?? kerasConstants[family].window,
    use_sliding_window_attention: window !== undefined,
    ...(isGemma3 && {
      image_size: null,
      use_query_key_norm: true,
      local_rope_scaling_factor: 1,
      global_rope_scaling_factor: config.ropeFactor ?? 1,
      vision_encoder: null,
      use_bidirectional_attention: false,
      is_embedding_model: false,
      pooling_intermediate_dim: null,
      embedding_dim: null,
    }),
  };
}
