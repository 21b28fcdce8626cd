import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { GemmaConfig } from "../models/gemma/config.js";
import { parameterCount } from "../models/gemma/model.js";
import type { FinetuneConfig } from "./finetuneConfig.js";

/** A configuration in which nothing is open. */
export interface DecidedConfig extends FinetuneConfig {
  readonly model: string;
  readonly run: string;
  readonly learningRate: number;
}

/** The model that comes with Facet. */
export const builtInModel = "facet_nano_en";

/** Chooses what the user has left open: the model, the folder of the run, and the learning rate. */
export const decide = (config: FinetuneConfig, model: GemmaConfig): DecidedConfig => ({
  ...config,
  model: config.model ?? builtInModel,
  run: config.run ?? freeFolder(config.data),
  learningRate: config.learningRate ?? learningRateFor(parameterCount(model), config.objective),
});

/** A model of few parameters wants larger steps; DPO, which has nothing but the adapter to hold it back, smaller ones. */
const learningRateFor = (parameters: number, objective: FinetuneConfig["objective"]) =>
  (parameters < 50e6 ? 2e-3 : 2e-4) / (objective === "dpo" ? 10 : 1);

/** `runs/<name of the data>`, with a number behind it where that is taken. */
function freeFolder(data: FinetuneConfig["data"]): string {
  const first = typeof data === "string" ? data : data[0]!;
  const name = basename(first).replace(/\..*$/, "") || "run";
  for (let i = 1; ; i++) {
    const folder = join("runs", i === 1 ? name : `${name}-${i}`);
    if (!existsSync(folder)) return folder;
  }
}
