import { z } from "zod";
import { FacetError } from "../errors.js";
import { isCount, isInteger, isPositive, isString, listOf, recordOf } from "../validation.js";
import { firstMatches } from "./peftPatterns.js";
import { excerpt, readStrictJson } from "./strictJson.js";

/** What `adapter_config.json` says that a LoRA adapter needs. */
export interface PeftConfig {
  /** r, for the modules that `rankPattern` does not name. */
  readonly rank: number;
  /** lora_alpha, for the modules that `alphaPattern` does not name. */
  readonly alpha: number;
  /** Scale by α/√r instead of α/r. */
  readonly useRslora: boolean;
  /** Module names (matched at the end of a module path), or PEFT's regular expression or keyword. */
  readonly targetModules: readonly string[] | string | null;
  readonly baseModel: string | null;
  /** Regular expressions for the end of a module path, and the rank of the modules they match. */
  readonly rankPattern: ReadonlyMap<string, number>;
  /** Likewise, and their alpha. */
  readonly alphaPattern: ReadonlyMap<string, number>;
  /** Whether every module also has a magnitude for each of its rows (DoRA). */
  readonly useDora: boolean;
  /** Numbers of the blocks that are adapted; null: all. */
  readonly layersToTransform: readonly number[] | null;
  /** Names of the modules that the adapter replaces as a whole: norms, the embedding and, with it, the output head. */
  readonly modulesToSave: readonly string[];
  /** Whether some of the targeted modules are left out. */
  readonly excludesModules: boolean;
}

const rank = z.int().positive();
const alpha = z.number().positive();
const names = listOf(isString, "expected a list of names");
const isRank = (value: unknown): value is number => isCount(value) && value > 0;

const configSchema = z.looseObject({
  peft_type: z.string(),
  r: rank,
  lora_alpha: alpha,
  target_modules: z.union([names, z.string()]).nullish(),
  base_model_name_or_path: z.string().nullish(),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  layers_to_transform: z.union([z.int(), listOf(isInteger, "expected layers")]).nullish(),
  exclude_modules: z.union([names, z.string()]).nullish(),
  rank_pattern: recordOf(isRank, "expected an object of positive whole numbers").nullish(),
  alpha_pattern: recordOf(isPositive, "expected an object of positive numbers").nullish(),
  modules_to_save: names.nullish(),
  bias: z.string().default("none"),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
});

/** Settings that do not change what the stored matrices mean. */
const HARMLESS = new Set([
  ...["auto_mapping", "eva_config", "inference_mode", "layers_pattern"],
  ...["lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision"],
  ...["runtime_config", "task_type"],
]);

/** Settings that, when set, change what the adapter computes in a way Facet does not reproduce. */
const REFUSED: Readonly<Record<string, string>> = {
  lora_bias: "it trains biases, which Gemma's layers do not have",
  fan_in_fan_out: "its weights are stored transposed",
  layer_replication: "it repeats layers of the base model",
  target_parameters: "it adapts bare parameters instead of linear layers",
  trainable_token_indices: "it trains rows of the embedding",
  alora_invocation_tokens: "it acts only after its invocation tokens",
  use_qalora: "it pools the inputs of its layers",
  use_bdlora: "its matrices are block-diagonal shards",
  megatron_config: "it was made for Megatron's parallel layers",
};

/** Initialisations that leave the base model's weights as they are; the others subtract from them. */
const HARMLESS_INITS = new Set(["gaussian", "orthogonal", "eva"]);

/**
 * Reads `adapter_config.json`. Throws FacetError, naming the field, when it is malformed or when it sets
 * something that Facet would have to ignore.
 */
export function readPeftConfig(path: string): PeftConfig {
  const parsed = configSchema.safeParse(readStrictJson(path));
  if (!parsed.success) throw new FacetError(`${path}: ${z.prettifyError(parsed.error)}`);
  const config = parsed.data;
  refuseUnless(config.peft_type === "LORA", path, "peft_type", config.peft_type, "it is not LoRA");
  const biasReason = "it trains biases, which Gemma's layers do not have";
  refuseUnless(config.bias === "none", path, "bias", config.bias, biasReason);
  const init = config.init_lora_weights ?? true;
  const keepsBase = typeof init === "boolean" || HARMLESS_INITS.has(init);
  const initReason =
    "it belongs to a base model changed at its start. In PEFT, convert it with save_pretrained(path_initial_model_for_weight_conversion=...)";
  refuseUnless(keepsBase, path, "init_lora_weights", init, initReason);
  for (const [field, value] of Object.entries(config)) {
    const known = Object.hasOwn(configSchema.shape, field) || HARMLESS.has(field);
    const reason = REFUSED[field] ?? "Facet does not know what this setting changes";
    refuseUnless(known || isUnset(value), path, field, value, reason);
  }
  const layers = config.layers_to_transform ?? null;
  return {
    rank: config.r,
    alpha: config.lora_alpha,
    useRslora: config.use_rslora,
    targetModules: config.target_modules ?? null,
    baseModel: config.base_model_name_or_path ?? null,
    rankPattern: new Map(Object.entries(config.rank_pattern ?? {})),
    alphaPattern: new Map(Object.entries(config.alpha_pattern ?? {})),
    useDora: config.use_dora,
    layersToTransform: isUnset(layers) ? null : [layers as number | number[]].flat(),
    modulesToSave: modulesToSave(config.modules_to_save ?? [], path),
    excludesModules: !isUnset(config.exclude_modules ?? null),
  };
}

/** What of a Gemma can be replaced: norms, and the embedding together with the head, which is the same matrix. */
function modulesToSave(given: readonly string[], path: string): readonly string[] {
  const tied = given.includes("embed_tokens") === given.includes("lm_head");
  // PEFT adds both names of a classifier's head, whichever it has.
  const isHead = given.includes("score");
  const names = given.filter((name) => !(isHead && name === "classifier"));
  const known = names.every((name) => /^(?:embed_tokens|lm_head|score|\w*norm)$/.test(name));
  const reason =
    "of a Gemma it can replace norms, embed_tokens together with lm_head, and add a classifier's head, score";
  refuseUnless(tied && known, path, "modules_to_save", given, reason);
  return names;
}

/**
 * The rank and scale of each module. As in PEFT (`get_pattern_key`), the first pattern counts that matches the whole
 * module path or all that follows one of its dots. Throws a FacetError for patterns that are no regular expressions,
 * or take too long.
 */
export function ranksAndScales(
  config: PeftConfig,
  modules: readonly string[],
): Map<string, { rank: number; scale: number }> {
  const ranks = firstMatches(config.rankPattern, modules);
  const alphas = firstMatches(config.alphaPattern, modules);
  return new Map(
    modules.map((module, i) => {
      const rank = ranks[i] ?? config.rank;
      return [
        module,
        { rank, scale: loraScale(alphas[i] ?? config.alpha, rank, config.useRslora) },
      ];
    }),
  );
}

/** α/r, or α/√r for rank-stabilised LoRA (Kalajdzievski 2023, arXiv 2312.03732). */
export function loraScale(alpha: number, rank: number, useRslora: boolean): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/** Only fields that old readers know too, keys sorted as PEFT sorts them. */
export function peftConfigText(config: PeftConfig): string {
  const fields = {
    alpha_pattern: Object.fromEntries(config.alphaPattern),
    base_model_name_or_path: config.baseModel,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: config.layersToTransform,
    lora_alpha: config.alpha,
    lora_dropout: 0,
    modules_to_save: config.modulesToSave.length === 0 ? null : config.modulesToSave,
    peft_type: "LORA",
    r: config.rank,
    rank_pattern: Object.fromEntries(config.rankPattern),
    revision: null,
    target_modules: [...(config.targetModules ?? [])].sort(),
    task_type: config.modulesToSave.includes("score") ? "SEQ_CLS" : "CAUSAL_LM",
    use_dora: config.useDora,
    use_rslora: config.useRslora,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

function refuseUnless(
  fine: boolean,
  path: string,
  field: string,
  value: unknown,
  reason: string,
): void {
  if (fine) return;
  throw new FacetError(
    `${path}: the adapter cannot be used as it is, with ${field} = ${excerpt(value)}: ${reason}.`,
  );
}

function isUnset(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === false || value === "";
}
