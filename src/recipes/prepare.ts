import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { isTemplateFile } from "../data/chooseRowTemplate.js";
import { type Dataset, loadDataset } from "../data/dataset.js";
import { type Labels, readLabels, withLabelsUsed } from "../data/labels.js";
import { requireTargets } from "../data/prepareReport.js";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { dataFromAnywhere } from "../hub/locateData.js";
import { chatTemplateOf, fromAnywhere, type OpenModel, openModel } from "../hub/openModel.js";
import { type Adapter, createAdapter } from "../lora/adapter.js";
import { headTensor, startHead } from "../lora/classifierHead.js";
import { loraConfigOf } from "../lora/settings.js";
import { type WholeTensor, wholeAdapter } from "../lora/whole.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { requireTokenizer } from "../runtime/session.js";
import type { BatchSource } from "../training/loop.js";
import { stateBytes } from "../training/optimizers/optimizer.js";
import { pairSource } from "../training/preferences.js";
import { exampleSource } from "../training/sources.js";
import { mixOf, type Share, sharesOf } from "./dataMix.js";
import type { FinetuneConfig } from "./finetuneConfig.js";
import { fitsInNoWay, fittingWay, type Planned, parseSize, weightsToTry } from "./fitMemory.js";
import { preferenceLossOf, requireFitting } from "./objectiveConfig.js";
import { builtInModel, type DecidedConfig, decide } from "./openChoices.js";
import { datasetOptions } from "./openDataset.js";
import { optimizerOf } from "./optimizerOf.js";
import { fileDigests, versions } from "./runFolder.js";
import { requireRunning } from "./runningConfig.js";
import { wholeTensors } from "./wholeTensors.js";

/** A run's configuration, and what it names, opened. */
export interface Prepared {
  readonly config: DecidedConfig;
  readonly model: OpenModel;
  readonly dataset: Dataset;
  /** What an epoch visits, where data sets are mixed. */
  readonly shares: readonly Share[] | undefined;
  readonly adapter: Adapter;
  /** The batches of training. */
  readonly source: BatchSource;
  readonly totalSteps: number;
  /** Of a classifier, the classes of the examples. */
  readonly labels?: Labels;
}

/** Opens the model, makes the adapter and reads the data. Throws a FacetError for what cannot be. */
export async function prepare(
  given: FinetuneConfig,
  download: DownloadHooks = {},
): Promise<Prepared> {
  requireFitting(given);
  const name = given.model ?? builtInModel;
  const first = await openModel(name, { weights: given.weights, ...download });
  const config = decide(given, first.config);
  const tokenizer = requireTokenizer(first);
  if (config.sequenceLength > first.config.maxPositions) {
    throw new FacetError(
      `--sequence-length ${config.sequenceLength} is more than ${first.name} was made for (${first.config.maxPositions} tokens).`,
    );
  }
  const modules = gemmaModules(first.config);
  const whole = wholeTensors(config, first.config);
  const adapterWith = (head: readonly WholeTensor[]) =>
    config.method === "full"
      ? wholeAdapter(whole)
      : createAdapter(loraConfigOf(config, modules), modules, config.seed, [...whole, ...head]);
  // Mistakes in its options are found before data are read.
  const adapter = adapterWith([]);
  const { sequenceLength, validationSplit } = config;
  const chatTemplate = chatTemplateOf(first);
  const preferences = preferenceLossOf(config) !== undefined;
  const options = await datasetOptions(
    preferences ? { ...config, targets: "completion" } : config,
    { tokenizer, sequenceLength, chatTemplate, validationSplit, preferences },
    download,
  );
  const dataset = await loadDataset(options);
  requireTargets(dataset.train.report);
  requireRunning(config, dataset.validation !== undefined);
  const { examples: chosen, rejected } = dataset.train;
  const mix = mixOf(config.mix, dataset);
  const shares = sharesOf(config, mix);
  const fitted = await fitMemory({ config, model: first, dataset, adapter }, download);
  const order = { ...fitted.config, padId: tokenizer.padId, mix };
  const source =
    rejected === undefined
      ? exampleSource(chosen, { ...order, packTo: config.packing ? sequenceLength : undefined })
      : pairSource({ chosen, rejected }, order);
  const most = config.maxSteps ?? Number.POSITIVE_INFINITY;
  let totalSteps = 0;
  for (let epoch = 0; epoch < config.epochs && totalSteps < most; epoch++) {
    totalSteps += source.stepsIn(epoch);
  }
  const prepared = {
    ...{ ...fitted, dataset, shares, source },
    totalSteps: Math.min(totalSteps, most),
  };
  if (config.objective !== "classification") return { ...prepared, adapter };
  const labels = await readLabels(options, dataset);
  const head = headTensor(labels.names.length, first.config.hiddenSize);
  return {
    ...prepared,
    ...{ labels, dataset: withLabelsUsed(dataset) },
    adapter: startHead(adapterWith([head]), labels.names, config.seed),
  };
}

/** What of a run decides its memory. */
export const plannedOf = (
  { config, dataset, adapter }: Pick<Prepared, "config" | "dataset" | "adapter">,
  stateBytes: number,
): Planned => ({
  batchSize: config.batchSize,
  sequencesInRow: dataset.train.rejected === undefined ? 1 : 2,
  longest: Math.min(
    config.packing ? Number.POSITIVE_INFINITY : dataset.train.report.lengths.max,
    config.sequenceLength + 1,
  ),
  trainable: adapter.parameters.values.length,
  stateBytes,
  modules: namesOfTrained(adapter),
  process: process.memoryUsage.rss(),
});

/** As in `q_proj`; of a variable such as `model.layers.0.self_attn.q_proj.lora_a` or `….q_proj.weight`. */
const namesOfTrained = ({ parameters: { slots } }: Adapter): string[] => [
  ...new Set(slots.map(({ name }) => name.split(".").at(-2) ?? name)),
];

/** The configuration with what `memory` left to choose, in its place, and the model with the weights that were chosen. */
async function fitMemory(
  { config, model, dataset, adapter }: Pick<Prepared, "config" | "model" | "dataset" | "adapter">,
  download: DownloadHooks,
): Promise<{ readonly config: DecidedConfig; readonly model: OpenModel }> {
  const { memory, ...rest } = config;
  if (memory === undefined) return { config, model };
  const bytes = parseSize(memory);
  const { optimizer } = optimizerOf(config, adapter.parameters.slots);
  const planned = plannedOf({ config, dataset, adapter }, stateBytes(optimizer));
  // Whole models, and adapters that start from the weights, need them as they are.
  const mayChange = config.method === "lora" && !config.dora && config.start === "random";
  let opened = model;
  for (const weights of weightsToTry(config.weights, mayChange)) {
    if (weights !== config.weights) {
      opened = await openModel(config.model, { weights, ...download });
    }
    const way = fittingWay(opened, planned, bytes, config);
    if (way !== undefined) return { config: { ...rest, ...way, weights }, model: opened };
  }
  throw fitsInNoWay(opened, planned, bytes);
}

/** What run.json holds: enough to repeat the run, and to notice when it could not be the same. */
export async function describeRun(
  { config, model, dataset, adapter, labels }: Prepared,
  { name, settings }: Engine,
) {
  const files = [...model.weights.values()].map((tensor) => tensor.file);
  return {
    command: "finetune",
    created: new Date().toISOString(),
    config,
    versions: versions(),
    engine: { name, settings },
    base: { name: model.name, folder: model.folder },
    ...(labels && { labels: labels.names }),
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
  data:
    typeof config.data === "string"
      ? dataFromAnywhere(config.data)
      : config.data.map(dataFromAnywhere),
  ...(config.template !== undefined && {
    template: isTemplateFile(config.template) ? resolve(config.template) : config.template,
  }),
  ...(config.model !== undefined && { model: fromAnywhere(config.model) }),
});
