import type { GemmaConfig } from "../models/gemma/config.js";
import { gemmaModules, gemmaWeightSpecs, type WeightSpec } from "../models/gemma/weights.js";

/** What can be trained besides an adapter: the model's norms, and its embedding, which is its output head too. */
export const wholeKinds = ["norms", "embeddings"] as const;
type WholeKind = (typeof wholeKinds)[number];

/** The model's own tensors that a run trains. */
export function wholeTensors(
  { method, alsoTrain }: { method: "lora" | "full"; alsoTrain: readonly WholeKind[] },
  model: GemmaConfig,
): WeightSpec[] {
  const specs = gemmaWeightSpecs(model);
  if (method === "full") return specs;
  const adaptable = new Set(gemmaModules(model).map(({ path }) => `${path}.weight`));
  return specs.filter(({ name }) => {
    if (adaptable.has(name)) return false;
    return alsoTrain.includes(name.includes("embed_tokens") ? "embeddings" : "norms");
  });
}
