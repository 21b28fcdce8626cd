import { z } from "zod";
import { FacetError } from "../errors.js";
import type { PreferenceLoss } from "../models/gemma/preferencePrograms.js";
import type { FinetuneConfig } from "./finetuneConfig.js";

export const objectiveNames = ["sft", "classification", "dpo", "orpo"] as const;

/** What a fine-tuning run learns. An option that the objective has no use for is refused. */
export const objectiveFields = {
  objective: z
    .enum(objectiveNames)
    .default("sft")
    .describe(
      "what to learn: the rows' text (sft), their labels, or which of two answers is preferred",
    ),
  beta: z
    .number()
    .positive()
    .optional()
    .describe(
      "how closely dpo keeps to the base model, or the weight of orpo's odds ratio (default: 0.1)",
    ),
};

/** The loss of pairs that a configuration asks for; undefined when it learns no preferences. */
export function preferenceLossOf({
  objective,
  beta = 0.1,
}: Pick<FinetuneConfig, "objective" | "beta">): PreferenceLoss | undefined {
  return objective === "dpo" || objective === "orpo" ? { kind: objective, beta } : undefined;
}

/** Throws a FacetError for options that do not go with the objective. */
export function requireFitting(config: FinetuneConfig): void {
  const { objective, targets } = config;
  if (preferenceLossOf(config) === undefined) {
    if (config.beta !== undefined) throw onlyFor("--beta", "dpo or orpo");
    if (objective === "classification") requireClassifier(config);
    return;
  }
  if (targets !== undefined && targets !== "completion") {
    throw new FacetError(
      `--targets ${targets} does not go with --objective ${objective}: a preference is between two answers to one prompt. Leave it out.`,
    );
  }
  if (config.packing) throw new FacetError(`--packing does not go with --objective ${objective}.`);
  if (config.overlong === "cut-prompt-left") {
    throw new FacetError(
      `--overlong cut-prompt-left does not go with --objective ${objective}: the two answers of a pair would get different prompts. Use drop or truncate.`,
    );
  }
}

function requireClassifier(config: FinetuneConfig): void {
  const without: Readonly<Record<string, boolean>> = {
    "--targets": config.targets !== undefined,
    "--packing": config.packing,
    "--prompts": config.prompts.length > 0,
    "--method full": config.method === "full",
  };
  const found = Object.entries(without).find(([, given]) => given);
  if (found === undefined) return;
  throw new FacetError(
    `${found[0]} does not go with --objective classification, which gives each text a class. Leave it out.`,
  );
}

const onlyFor = (option: string, objective: string) =>
  new FacetError(`${option} is only for --objective ${objective}; leave it out.`);
