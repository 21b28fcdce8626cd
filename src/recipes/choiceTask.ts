import { basename } from "node:path";
import { dataFiles, dataRows } from "../data/dataFiles.js";
import type { Example } from "../data/examples.js";
import { placeText } from "../data/rows.js";
import { FacetError } from "../errors.js";
import { type ChoiceQuestion, choiceQuestion } from "../evaluation/choiceRows.js";
import type { ChoiceScores } from "../evaluation/rows.js";
import type { DownloadHooks } from "../hub/download.js";
import { locateData } from "../hub/locateData.js";
import type { OpenModel } from "../hub/openModel.js";
import { requireTokenizer } from "../runtime/session.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { RowScore } from "../training/scoreRows.js";

/** Multiple-choice questions, each choice as an example whose targets are the choice's tokens. */
export interface ChoiceTask {
  /** The file's name without its ending. */
  readonly name: string;
  readonly questions: readonly ChoiceQuestion[];
  /** The choices of all questions, one after the other. */
  readonly examples: readonly Example[];
}

/** Reads a file of questions. Throws a FacetError with file and line for a row that is none (see `choiceQuestion`). */
export async function openChoiceTask(
  nameOrPath: string,
  model: OpenModel,
  sequenceLength: number,
  download: DownloadHooks = {},
): Promise<ChoiceTask> {
  const tokenizer = requireTokenizer(model);
  const questions: ChoiceQuestion[] = [];
  const files = (await locateData(nameOrPath, download)).flatMap(dataFiles);
  for await (const row of dataRows(files)) questions.push(choiceQuestion(row));
  const examples = questions.flatMap((question) =>
    question.choices.map((choice) => choiceExample(question, choice, tokenizer, sequenceLength)),
  );
  return { name: basename(nameOrPath).replace(/\..*$/, ""), questions, examples };
}

/**
 * Start token, context and choice, as lm-evaluation-harness has them: both are encoded as one text, and the choice's
 * tokens are those that the context alone does not begin with. What does not fit is cut from the context's left.
 */
export function choiceExample(
  { context, place }: Pick<ChoiceQuestion, "context" | "place">,
  choice: string,
  tokenizer: Tokenizer,
  sequenceLength: number,
): Example {
  const alone = tokenizer.encodeOrdinary(context);
  const whole = tokenizer.encodeOrdinary(`${context} ${choice}`);
  let start = 0;
  while (start < alone.length && alone[start] === whole[start]) start += 1;
  const truncated = Math.max(0, whole.length - sequenceLength);
  if (truncated > start) {
    throw new FacetError(
      `${placeText(place)}: a choice of ${whole.length - start} tokens does not fit into ${sequenceLength}. Raise --sequence-length.`,
    );
  }
  const kept = whole.slice(truncated);
  return {
    ids: Int32Array.from([tokenizer.bosId, ...kept]),
    isTarget: Uint8Array.from([0, ...kept.map((_, i) => (i + truncated < start ? 0 : 1))]),
    line: place.line,
    truncated,
  };
}

/** The scores of the questions, from those of their choices in any order. */
export function choiceScores(
  { questions }: ChoiceTask,
  scores: readonly RowScore[],
): ChoiceScores[] {
  const losses: number[] = [];
  for (const { row, loss } of scores) losses[row] = loss;
  let next = 0;
  return questions.map(({ choices, answer }) => ({
    logProbabilities: choices.map(() => -losses[next++]!),
    lengths: choices.map((choice) => [...choice].length),
    answer,
  }));
}
