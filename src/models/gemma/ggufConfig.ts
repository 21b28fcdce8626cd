import { FacetError } from "../../errors.js";
import { f32, type GgufMetadata, type GgufValue, text, u32 } from "../../formats/gguf/values.js";
import { excerpt } from "../../formats/strictJson.js";
import type { GemmaConfig } from "./config.js";
import { type FamilyName, families, localLayers, MAX_LAYERS } from "./family.js";
import { ggufArchitectures } from "./ggufNames.js";

/**
 * A model's shape as GGUF's metadata say it (conversion/gemma.py of llama.cpp), and what llama.cpp takes for granted
 * where they say nothing (src/models/gemma*.cpp): which layers see a window, the width that queries are scaled by, and
 * the rotary bases.
 */

/** Depth of the 27B models, whose queries are scaled by hidden size / heads, not by the width of a head. */
const deepModels: Partial<Record<FamilyName, number>> = { gemma2: 46, gemma3_text: 62 };

const impliedQueryScalar = (c: Shape) =>
  deepModels[c.family] === c.numLayers ? c.hiddenSize / c.numHeads : c.headDim;

type Shape = Pick<GemmaConfig, "numLayers" | "numHeads" | "hiddenSize" | "headDim"> & {
  readonly family: FamilyName;
};

const keys = {
  maxPositions: "context_length",
  hiddenSize: "embedding_length",
  numLayers: "block_count",
  intermediateSize: "feed_forward_length",
  numHeads: "attention.head_count",
  numKeyValueHeads: "attention.head_count_kv",
  headDim: "attention.key_length",
} as const;

/** Throws a FacetError for a model that GGUF's metadata cannot describe. */
export function toGgufConfig(config: GemmaConfig): Map<string, GgufValue> {
  const { family = "gemma", slidingWindow: window, ropeBase, ropeFactor } = config;
  const prefix = ggufArchitectures[family];
  const refuse = (what: string) => new FacetError(`GGUF has no place for ${what}.`);
  const values = new Map<string, GgufValue>([["general.architecture", text(prefix)]]);
  const set = (key: string, value: GgufValue) => values.set(`${prefix}.${key}`, value);
  for (const [name, key] of Object.entries(keys)) {
    set(key, u32(config[name as keyof typeof keys]));
  }
  set("attention.value_length", u32(config.headDim));
  set("attention.layer_norm_rms_epsilon", f32(config.rmsNormEps));
  if ((config.queryScalar ?? config.headDim) !== impliedQueryScalar({ ...config, family })) {
    throw refuse(`a query scale of ${config.queryScalar}^-½ in a model of this depth`);
  }
  const { attentionSoftCap, finalSoftCap } = config;
  if (attentionSoftCap !== undefined) set("attn_logit_softcapping", f32(attentionSoftCap));
  if (finalSoftCap !== undefined) set("final_logit_softcapping", f32(finalSoftCap));
  if (family === "gemma2" && (attentionSoftCap === undefined || finalSoftCap === undefined)) {
    throw refuse("a Gemma 2 without bounds of its scores and logits");
  }
  if (family === "gemma3_text" || ropeBase !== 10_000) set("rope.freq_base", f32(ropeBase));
  if (ropeFactor !== undefined) {
    set("rope.scaling.type", text("linear"));
    set("rope.scaling.factor", f32(ropeFactor));
  }
  if (window !== undefined) {
    const usual = localLayers(config.numLayers, families[family].globalEvery);
    if (window.layers.join() !== usual.join())
      throw refuse("this order of local and global layers");
    set("attention.sliding_window", u32(window.length));
    if (family === "gemma3_text") set("rope.freq_base_swa", f32(window.ropeBase));
  }
  return values;
}

/**
 * Reads the shape of a model; the size of its vocabulary is that of its embedding. `path` is for the errors: a
 * FacetError names the key that is missing or is no such number.
 */
export function fromGgufConfig(
  metadata: GgufMetadata,
  vocabularySize: number,
  path: string,
): GemmaConfig {
  const architecture = metadata.get("general.architecture")?.value;
  const family = (Object.keys(ggufArchitectures) as FamilyName[]).find(
    (name) => ggufArchitectures[name] === architecture,
  );
  if (family === undefined) {
    throw new FacetError(
      `${path}: general.architecture is ${excerpt(architecture)}; Facet reads ${Object.values(ggufArchitectures).join(", ")}.`,
    );
  }
  const optional = (key: string): number | undefined => {
    const value = metadata.get(`${architecture}.${key}`)?.value;
    if (value === undefined) return undefined;
    if (typeof value === "number" && value > 0 && Number.isFinite(value)) return shortest(value);
    throw new FacetError(
      `${path}: ${architecture}.${key} is ${String(value)}, no positive number.`,
    );
  };
  const number = (key: string): number => {
    const value = optional(key);
    if (value !== undefined) return value;
    throw new FacetError(`${path}: ${architecture}.${key} is missing.`);
  };
  const size = (key: string): number => {
    const value = number(key);
    if (Number.isSafeInteger(value)) return value;
    throw new FacetError(`${path}: ${architecture}.${key} is ${value}, no whole number.`);
  };
  const sizes = Object.fromEntries(
    Object.entries(keys).map(([name, key]) => [name, size(key)]),
  ) as Record<keyof typeof keys, number>;
  if (sizes.numLayers > MAX_LAYERS) {
    throw new FacetError(
      `${path}: ${architecture}.${keys.numLayers} is ${sizes.numLayers}, more than ${MAX_LAYERS}.`,
    );
  }
  const shape = { ...sizes, family };
  const common = {
    ...sizes,
    vocabularySize,
    rmsNormEps: number("attention.layer_norm_rms_epsilon"),
  };
  if (optional("attention.value_length") !== sizes.headDim) {
    throw new FacetError(`${path}: keys and values must be of one width.`);
  }
  if (sizes.numHeads % sizes.numKeyValueHeads !== 0) {
    throw new FacetError(
      `${path}: ${architecture}.${keys.numHeads} (${sizes.numHeads}) must be a multiple of ${keys.numKeyValueHeads} (${sizes.numKeyValueHeads}).`,
    );
  }
  if (family === "gemma") return { ...common, ropeBase: optional("rope.freq_base") ?? 10_000 };
  const isGemma2 = family === "gemma2";
  const ropeBase = optional("rope.freq_base") ?? (isGemma2 ? 10_000 : 1_000_000);
  const attentionSoftCap = optional("attn_logit_softcapping") ?? (isGemma2 ? 50 : undefined);
  const finalSoftCap = optional("final_logit_softcapping") ?? (isGemma2 ? 30 : undefined);
  const ropeFactor = linearFactor(metadata, String(architecture), path, optional);
  return {
    family,
    ...common,
    ropeBase,
    queryScalar: impliedQueryScalar(shape),
    ...(ropeFactor !== undefined && { ropeFactor }),
    ...(attentionSoftCap !== undefined && { attentionSoftCap }),
    ...(finalSoftCap !== undefined && { finalSoftCap }),
    slidingWindow: {
      length: isGemma2
        ? (optional("attention.sliding_window") ?? 4096)
        : number("attention.sliding_window"),
      layers: localLayers(sizes.numLayers, families[family].globalEvery),
      ropeBase: optional("rope.freq_base_swa") ?? 10_000,
    },
  };
}

function linearFactor(
  metadata: GgufMetadata,
  architecture: string,
  path: string,
  optional: (key: string) => number | undefined,
): number | undefined {
  const type = metadata.get(`${architecture}.rope.scaling.type`)?.value ?? "none";
  if (type === "none") return undefined;
  if (type === "linear") return optional("rope.scaling.factor");
  throw new FacetError(
    `${path}: ${architecture}.rope.scaling.type is ${excerpt(type)}; Facet knows "linear".`,
  );
}

/** The shortest decimal number that is stored as this float32: 1e-6, not 9.999999974752427e-7. */
const shortest = (value: number): number => {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === value ? short : value;
};
