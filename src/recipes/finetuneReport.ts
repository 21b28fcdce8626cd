import type { FinetuneResult } from "./finetuneEvents.js";
import type { Prepared } from "./prepare.js";

/** What report.html says about a finished run, but for the curve and the samples. */
export function reportOf(result: FinetuneResult, { config, model, dataset }: Prepared) {
  const facts = {
    "Base model": model.name,
    Data: `${dataset.train.examples.length} rows of ${dataset.path}`,
    Template: dataset.template.name,
    ...(result.method === "full"
      ? { Method: "all weights" }
      : {
          "LoRA rank": `${config.rank} (${config.layout} layout) on ${config.modules.join(", ")}`,
        }),
    "Trainable parameters": result.trainableParameters.toLocaleString("en"),
    "Learning rate": `${config.learningRate}, ${config.schedule}`,
    ...(config.objective !== "sft" && { Objective: config.objective, ...heldOutFacts(result) }),
    Steps: String(result.steps),
    // A resumed run that had no step left to do has no speed.
    ...(Number.isFinite(result.tokensPerSecond) && {
      Speed: `${result.tokensPerSecond.toFixed(0)} target tokens/s`,
    }),
    Duration: `${result.seconds.toFixed(0)} s`,
    Seed: String(config.seed),
  };
  return {
    title: `Fine-tuning of ${model.name}`,
    model: model.name,
    facts: Object.entries(facts).map(([label, value]) => ({ label, value })),
    command:
      result.method === "full"
        ? `npx facet chat --model ${result.run}/model`
        : `npx facet ${config.objective === "classification" ? "classify" : "chat"} --model ${config.model} --adapter ${result.run}/adapter`,
    ...(result.heldOut && config.objective === "sft" && { heldOut: result.heldOut }),
  };
}

/** Held-out numbers of objectives that are not about tokens. */
function heldOutFacts({ heldOut }: FinetuneResult): Record<string, string> {
  if (heldOut === undefined) return {};
  const { before, after } = heldOut;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return {
    "Held-out loss": `${before.loss.toFixed(4)} → ${after.loss.toFixed(4)}`,
    "Held-out accuracy": `${percent(before.accuracy)} → ${percent(after.accuracy)}`,
  };
}
