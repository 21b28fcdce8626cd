import { join } from "node:path";
import { type Dataset, loadDataset } from "../data/dataset.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { dataFromAnywhere, locateData } from "../hub/locateData.js";
import { fromAnywhere, type OpenModel, openModel } from "../hub/openModel.js";
import { spillPlace } from "../hub/places.js";
import { type Adapter, createAdapter } from "../lora/adapter.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { requireTokenizer } from "../runtime/session.js";
import type { FinetuneConfig } from "./finetuneConfig.js";
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
  const model = await openModel(config.model, download);
  const tokenizer = requireTokenizer(model);
  if (config.sequenceLength > model.config.maxPositions) {
    throw new FacetError(
      `--sequence-length ${config.sequenceLength} is more than ${model.name} was made for (${model.config.maxPositions} tokens).`,
    );
  }
  const { rank, modules: targets, layout, dropout, alpha = rank } = config;
  const adapter = createAdapter(
    { rank, alpha, targets, layout, dropout },
    gemmaModules(model.config),
    config.seed,
  );
  const dataset = await loadDataset({
    paths: await locateData(config.data, download),
    spill: spillPlace(),
    tokenizer,
    sequenceLength: config.sequenceLength,
    filters: config.filter,
    targets: config.targets,
    overlong: config.overlong,
    validationSplit: config.validationSplit,
    ...(config.limit !== undefined && { limit: config.limit }),
    ...(config.template !== undefined && { template: config.template }),
  });
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
      base: await fileDigests([...files, join(model.folder, "config.json")]),
    },
  };
}

/** A run can be resumed from another folder than it was started in. */
export const withAbsolutePaths = (config: FinetuneConfig): FinetuneConfig => ({
  ...config,
  data: dataFromAnywhere(config.data),
  model: fromAnywhere(config.model),
});
