import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { isTemplateFile } from "../data/chooseRowTemplate.js";
import type { Dataset } from "../data/dataset.js";
import { requireTargets } from "../data/examples.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { dataFromAnywhere } from "../hub/locateData.js";
import { chatTemplateOf, fromAnywhere, type OpenModel, openModel } from "../hub/openModel.js";
import { type Adapter, createAdapter } from "../lora/adapter.js";
import { loraConfigOf } from "../lora/settings.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { requireTokenizer } from "../runtime/session.js";
import type { FinetuneConfig } from "./finetuneConfig.js";
import { openDataset } from "./openDataset.js";
import { fileDigests, versions } from "./runFolder.js";

/** A run's configuration, and what it names, opened. */
export interface Prepared {
  readonly config: FinetuneConfig;
  readonly model: OpenModel;
  readonly dataset: Dataset;
  readonly adapter: Adapter;
  readonly totalSteps: number;
}

/** Opens the model, makes the adapter and reads the data. Throws a FacetError for what cannot be. */
export async function prepare(
  config: FinetuneConfig,
  download: DownloadHooks = {},
): Promise<Prepared> {
  const model = await openModel(config.model, { weights: config.weights, ...download });
  const tokenizer = requireTokenizer(model);
  if (config.sequenceLength > model.config.maxPositions) {
    throw new FacetError(
      `--sequence-length ${config.sequenceLength} is more than ${model.name} was made for (${model.config.maxPositions} tokens).`,
    );
  }
  const modules = gemmaModules(model.config);
  const adapter = createAdapter(loraConfigOf(config, modules), modules, config.seed);
  const { sequenceLength, validationSplit } = config;
  const chatTemplate = chatTemplateOf(model);
  const dataset = await openDataset(
    config,
    { tokenizer, sequenceLength, chatTemplate, validationSplit },
    download,
  );
  requireTargets(dataset.train.report);
  const perEpoch = Math.ceil(dataset.train.examples.length / config.batchSize);
  const totalSteps = Math.min(
    perEpoch * config.epochs,
    config.maxSteps ?? Number.POSITIVE_INFINITY,
  );
  return { config, model, dataset, adapter, totalSteps };
}

/** What run.json holds: enough to repeat the run, and to notice when it could not be the same. */
export async function describeRun({ config, model, dataset, adapter }: Prepared) {
  const files = [...model.weights.values()].map((tensor) => tensor.file);
  return {
    command: "finetune",
    created: new Date().toISOString(),
    config,
    versions: versions(),
    base: { name: model.name, folder: model.folder },
    trainable_parameters: adapter.parameters.values.length,
    data: { path: dataset.path, template: dataset.template.name, report: dataset.train.report },
    digests: {
      data: dataset.sha256,
      template: createHash("sha256").update(dataset.template.source).digest("hex"),
      base: await fileDigests([...files, join(model.folder, "config.json")]),
    },
  };
}

/** A run can be resumed from another folder than it was started in. */
export const withAbsolutePaths = (config: FinetuneConfig): FinetuneConfig => ({
  ...config,
  data: dataFromAnywhere(config.data),
  ...(config.template !== undefined && {
    template: isTemplateFile(config.template) ? resolve(config.template) : config.template,
  }),
  model: fromAnywhere(config.model),
});
