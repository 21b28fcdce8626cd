import { z } from "zod";
import { FacetError } from "../errors.js";
import type { FinetuneConfig } from "./finetuneConfig.js";

const count = z.int().positive();
const countOrNone = z.int().nonnegative();

/** What a fine-tuning run does beside its steps: measure, save, look at itself and stop. */
export const runningFields = {
  logEvery: count.default(1).describe("optimizer steps between lines of metrics, their mean"),
  histogramEvery: count
    .optional()
    .describe("optimizer steps between histograms of variables and gradients for TensorBoard"),
  evaluateEvery: count.optional().describe("optimizer steps between validations"),
  evaluateEpochs: z
    .number()
    .positive()
    .optional()
    .describe("epochs between validations, such as 0.25, instead of --evaluate-every"),
  patience: count.optional().describe("stop after so many validations that bring no improvement"),
  minDelta: z
    .number()
    .nonnegative()
    .default(0)
    .describe("what a held-out loss must fall by to be an improvement for --patience"),
  sampleEvery: count.optional().describe("optimizer steps between answers to the prompts"),
  saveEvery: count.default(200).describe("optimizer steps between checkpoints"),
  keepLast: count.default(2).describe("newest checkpoints to keep"),
  keepBest: countOrNone
    .default(0)
    .describe("checkpoints of the lowest held-out losses to keep too"),
  useBest: z
    .boolean()
    .default(false)
    .describe("make the adapter of the checkpoint with the lowest held-out loss, not of the last"),
  divergence: z
    .number()
    .nonnegative()
    .default(3)
    .describe("stop when the mean loss of 20 steps is so many nats above its lowest; 0: never"),
  constantSteps: countOrNone
    .default(50)
    .describe("stop when so many steps in a row have the same loss; 0: never"),
};

/** Throws a FacetError for an option that would do nothing, because another one is missing. */
export function requireRunning(config: FinetuneConfig, validates: boolean): void {
  const { evaluateEvery, evaluateEpochs, minDelta } = config;
  if (evaluateEvery !== undefined && evaluateEpochs !== undefined) {
    throw new FacetError("Give either --evaluate-every or --evaluate-epochs.");
  }
  const evaluates = evaluateEvery !== undefined || evaluateEpochs !== undefined;
  if (evaluates && !validates) {
    const flag = evaluateEvery === undefined ? "--evaluate-epochs" : "--evaluate-every";
    throw new FacetError(`${flag} needs rows to evaluate on. Give --validation-split.`);
  }
  const needing = [
    [config.patience !== undefined, "--patience"],
    [config.keepBest > 0, "--keep-best"],
    [config.useBest, "--use-best"],
  ] as const;
  for (const [isGiven, flag] of needing) {
    if (isGiven && !evaluates) {
      throw new FacetError(`${flag} needs --evaluate-every or --evaluate-epochs.`);
    }
  }
  if (minDelta > 0 && config.patience === undefined) {
    throw new FacetError("--min-delta is for --patience.");
  }
  if (config.sampleEvery !== undefined && config.prompts.length === 0) {
    throw new FacetError("--sample-every needs --prompts to answer.");
  }
}
