import { type LoraConfig, targetModules } from "../src/lora/config.js";
import { sharesBetweenHeads } from "../src/lora/variables.js";
import type { GemmaConfig } from "../src/models/gemma/config.js";
import { gemmaModules } from "../src/models/gemma/weights.js";

/** Floating-point operations of one training step's matrix products; a multiply-add counts two. */
export interface StepFlops {
  /** What no program can leave out: attention only at the pairs that the causal mask keeps. */
  readonly required: number;
  /** The same with attention at all T × T pairs, as dense products compute it. */
  readonly dense: number;
}

/**
 * FLOPs of forward and backward of a LoRA step (docs/benchmarks.md derives the formula). Frozen
 * layers have no weight gradient, so backward is as large as forward; the query and value of the
 * first layer have adapters, and nothing below them, nor that layer's keys, is differentiated.
 * `batch` rows of `length` tokens, all of which have a target.
 */
export function loraStepFlops(
  config: GemmaConfig,
  lora: LoraConfig,
  batch: number,
  length: number,
): StepFlops {
  const modules = gemmaModules(config);
  const adapted = targetModules(lora, modules);
  if (!["q_proj", "v_proj"].every((target) => lora.targets.includes(target))) {
    throw new Error("the count of products holds for adapters on query and value");
  }
  const tokens = batch * length;
  const readsFirstInput = new Set(["q_proj", "k_proj", "v_proj"]);
  let products = 0;
  for (const { inFeatures, outFeatures, layer, target } of modules) {
    const size = tokens * inFeatures * outFeatures;
    products += layer === 0 && readsFirstInput.has(target) ? size : 2 * size;
  }
  for (const module of adapted) {
    const width = lora.rank * (sharesBetweenHeads(lora, module) ? module.heads : 1);
    const down = tokens * module.inFeatures * width;
    const up = tokens * lora.rank * module.outFeatures;
    products += (module.layer === 0 ? 2 : 3) * down + 3 * up;
  }
  products += 2 * tokens * config.vocabularySize * config.hiddenSize;

  // Forward: scores and mix. Backward: probabilities, values, queries, and keys but in layer 0.
  const attentionProducts = 6 * config.numLayers - 1;
  const perPair = attentionProducts * batch * config.numHeads * config.headDim;
  return {
    required: 2 * (products + (perPair * length * (length + 1)) / 2),
    dense: 2 * (products + perPair * length * length),
  };
}
