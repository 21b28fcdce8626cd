import type { Dataset } from "../data/dataset.js";
import type { Example, Prepared } from "../data/examples.js";
import { fileOf } from "../data/prepareReport.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import { chatTemplateOf, type OpenModel } from "../hub/openModel.js";
import { requireTokenizer } from "../runtime/session.js";
import { type ChoiceTask, openChoiceTask } from "./choiceTask.js";
import { type DataConfig, openDataset } from "./openDataset.js";

/** What models are measured on. */
export interface EvaluationConfig extends Omit<DataConfig, "data"> {
  /** Held-out rows. */
  readonly data?: DataConfig["data"] | undefined;
  /** Files of multiple-choice questions. */
  readonly task: readonly string[];
  /** Longest row in tokens. */
  readonly sequenceLength: number;
  /** How many rows' prompts are answered. */
  readonly answers: number;
}

/** A row's prompt, which models answer, and the row's own answer. */
export interface AnswerPrompt {
  readonly ids: readonly number[];
  readonly prompt: string;
  readonly reference: string;
  /** Tokens of the reference, its end token included. */
  readonly referenceTokens: number;
  readonly file: string;
  readonly line: number;
}

export interface EvaluationSet {
  readonly dataset: Dataset | undefined;
  /** Spread evenly over the rows. */
  readonly prompts: readonly AnswerPrompt[];
  readonly tasks: readonly ChoiceTask[];
}

/** Reads everything that is measured. Throws a FacetError for what cannot be, and when there is nothing. */
export async function openEvaluationSet(
  config: EvaluationConfig,
  model: OpenModel,
  download: DownloadHooks = {},
): Promise<EvaluationSet> {
  const { data, task, sequenceLength, answers } = config;
  if (data === undefined && task.length === 0) {
    throw new FacetError("There is nothing to measure on. Give --data, --task or both.");
  }
  const tasks: ChoiceTask[] = [];
  for (const name of task) {
    tasks.push(await openChoiceTask(name, model, sequenceLength, download));
  }
  if (data === undefined) return { dataset: undefined, prompts: [], tasks };
  const reader = {
    tokenizer: requireTokenizer(model),
    sequenceLength,
    chatTemplate: chatTemplateOf(model),
  };
  const dataset = await openDataset({ ...config, data }, reader, download);
  if (answers === 0) return { dataset, prompts: [], tasks };
  // Where a completion begins is known only of rows encoded with the completion as target.
  const completions =
    config.targets === "completion"
      ? dataset
      : await openDataset({ ...config, data, targets: "completion" }, reader, download);
  return { dataset, prompts: answerPrompts(completions.train, model, answers), tasks };
}

/** Up to `most` prompts of whole rows that have one. */
function answerPrompts(prepared: Prepared, model: OpenModel, most: number): AnswerPrompt[] {
  const tokenizer = requireTokenizer(model);
  const { stopIds } = model;
  const usable: number[] = [];
  let index = 0;
  for (const example of prepared.examples) {
    if (example.truncated === 0 && promptLength(example) > 1) usable.push(index);
    index += 1;
  }
  const chosen = Array.from(
    { length: Math.min(most, usable.length) },
    (_, i) => usable[Math.floor((i * usable.length) / Math.min(most, usable.length))]!,
  );
  return chosen.map((at) => {
    const example = prepared.examples.at(at)!;
    const start = promptLength(example);
    const ids = [...example.ids.subarray(0, start)];
    const completion = [...example.ids.subarray(start)];
    const end = completion.findIndex((id) => stopIds.includes(id));
    return {
      ids,
      prompt: tokenizer.decode(ids),
      reference: tokenizer.decode(completion.slice(0, end)).trim(),
      referenceTokens: end + 1,
      file: fileOf(prepared.report, at),
      line: example.line,
    };
  });
}

/** Ids before the first target, the start token among them. */
const promptLength = ({ isTarget }: Example): number => isTarget.indexOf(1);
