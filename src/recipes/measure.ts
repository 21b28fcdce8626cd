import { columnsOf } from "../evaluation/bootstrap.js";
import { answerMetrics, choiceMetrics, tokenMetrics } from "../evaluation/metrics.js";
import type { Answer } from "../evaluation/rows.js";
import type { MetricGroup } from "../evaluation/scores.js";
import type { Adapter } from "../lora/adapter.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { type RowScore, scoreRows } from "../training/scoreRows.js";
import { evaluationBatches } from "../training/sources.js";
import { type AnswerOptions, answerPrompts, type Watch } from "./answerPrompts.js";
import { choiceScores } from "./choiceTask.js";
import type { EvaluationSet } from "./evaluationSet.js";

/** What one model makes of an evaluation set. */
export interface Measured {
  /** Of the held-out rows, of the answers to them, and of each task. */
  readonly groups: readonly MetricGroup[];
  /** Of the held-out rows, in their order. */
  readonly rows: readonly RowScore[];
  /** To the set's prompts, in their order. */
  readonly answers: readonly Answer[];
}

export interface MeasureOptions extends AnswerOptions {
  readonly sequenceLength: number;
}

/**
 * Runs a session's model over an evaluation set, with one adapter after the other; undefined is the model as the session
 * has it. The results are in the order of the adapters.
 */
export async function measure(
  session: Session,
  adapters: readonly (Adapter | undefined)[],
  set: EvaluationSet,
  options: MeasureOptions,
  watch: Watch = (_, items) => items,
): Promise<Measured[]> {
  const scores = [];
  for (const adapter of adapters) {
    if (adapter !== undefined) await session.use(adapter);
    scores.push(await scored(session, set, options, watch));
  }
  // Every open program maps the weights.
  await session.close();
  const results: Measured[] = [];
  for (const [i, adapter] of adapters.entries()) {
    if (adapter !== undefined) await session.use(adapter);
    const answers = await answerPrompts(session, set.prompts, options, watch);
    const { rows, tasks } = scores[i]!;
    const heldOut = [
      ...(rows.length > 0 ? [columnsOf(tokenMetrics, rows)] : []),
      ...(answers.length > 0 ? [columnsOf(answerMetrics, answers)] : []),
    ];
    const groups = [...heldOut.map((columns) => ({ task: undefined, columns })), ...tasks];
    results.push({ groups, rows, answers });
  }
  return results;
}

/** Everything but the answers. */
async function scored(
  session: Session,
  { dataset, tasks }: EvaluationSet,
  { sequenceLength, batchSize }: MeasureOptions,
  watch: Watch,
) {
  const { padId } = requireTokenizer(session.model);
  const program = await session.evaluation(sequenceLength);
  const run = (what: string, examples: Parameters<typeof evaluationBatches>[0]) => {
    const batches = [...evaluationBatches(examples, batchSize, padId)];
    return scoreRows(program, session.parameters, watch(what, batches));
  };
  const rows = dataset === undefined ? [] : await run("Evaluating", dataset.train.examples);
  rows.sort((a, b) => a.row - b.row);
  const groups: MetricGroup[] = [];
  for (const task of tasks) {
    const choices = choiceScores(task, await run(task.name, task.examples));
    groups.push({ task: task.name, columns: columnsOf(choiceMetrics, choices) });
  }
  return { rows, tasks: groups };
}
