import type { Dataset } from "../data/dataset.js";
import { loadDataset } from "../data/dataset.js";
import { readLabels, withLabelsUsed } from "../data/labels.js";
import type { DownloadHooks } from "../hub/download.js";
import { chatTemplateOf } from "../hub/openModel.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import {
  type ClassifierScore,
  classifyExamples,
  labelsOf,
  type Prediction,
  scoreClassifier,
} from "./classify.js";
import { type DataConfig, datasetOptions } from "./openDataset.js";

export interface ClassifyConfig extends Omit<DataConfig, "targets"> {
  /** Longest row in tokens; default: 512, or what the model takes. */
  readonly sequenceLength?: number | undefined;
  readonly batchSize: number;
}

export interface ClassifyHooks {
  readonly download?: DownloadHooks;
  readonly onData?: (dataset: Dataset) => void;
  readonly onBatch?: (done: number, total: number) => void;
}

/** Puts the rows of data into the classes of the session's adapter. */
export async function classifyData(
  session: Session,
  config: ClassifyConfig,
  hooks: ClassifyHooks = {},
): Promise<{ dataset: Dataset; predictions: readonly Prediction[] }> {
  labelsOf(session);
  return predicted(session, await open(session, config, hooks), config, hooks);
}

/** Does the same with rows that have labels, and compares. Throws a FacetError for a label that is no class. */
export async function evaluateClassifier(
  session: Session,
  config: ClassifyConfig,
  hooks: ClassifyHooks = {},
): Promise<ClassifierScore> {
  const names = labelsOf(session);
  const { options, dataset } = await open(session, config, hooks);
  const { train } = await readLabels(options, dataset, names);
  const labelled = { options, dataset: withLabelsUsed(dataset) };
  const { predictions } = await predicted(session, labelled, config, hooks);
  return scoreClassifier(predictions, train, names);
}

async function open(session: Session, config: ClassifyConfig, { download }: ClassifyHooks) {
  const { model } = session;
  const sequenceLength = config.sequenceLength ?? Math.min(512, model.config.maxPositions);
  const reader = {
    tokenizer: requireTokenizer(model),
    sequenceLength,
    chatTemplate: chatTemplateOf(model),
  };
  const options = await datasetOptions({ ...config, targets: "all" }, reader, download);
  return { options, dataset: await loadDataset(options) };
}

async function predicted(
  session: Session,
  { dataset }: { readonly dataset: Dataset },
  { batchSize }: ClassifyConfig,
  { onData, onBatch }: ClassifyHooks,
) {
  onData?.(dataset);
  const { examples } = dataset.train;
  const predictions = await classifyExamples(session, examples, {
    batchSize,
    onBatch: (done) => onBatch?.(done, examples.length),
  });
  return { dataset, predictions };
}
