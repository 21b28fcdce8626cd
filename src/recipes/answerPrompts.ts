import type { Answer } from "../evaluation/rows.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { generateIds } from "../runtime/text.js";
import type { AnswerPrompt } from "./evaluationSet.js";

export interface AnswerOptions {
  /** Longest answer in tokens. */
  readonly answerLength: number;
  /** Prompts answered at a time. */
  readonly batchSize: number;
}

/** Shows how far a list has been taken; `what` is being done with it. */
export type Watch = <T>(what: string, items: readonly T[]) => Iterable<T>;

/**
 * Greedy answers of a session's model to prompts, in their order. A batch does not change an answer: each prompt gets up
 * to `answerLength` tokens, or as many as the model has positions.
 */
export async function answerPrompts(
  session: Session,
  prompts: readonly AnswerPrompt[],
  { answerLength, batchSize }: AnswerOptions,
  watch: Watch,
): Promise<Answer[]> {
  // Prompts of similar length together, so that little of a batch is padding.
  const order = [...prompts.keys()].sort((a, b) => prompts[a]!.ids.length - prompts[b]!.ids.length);
  const batches = Array.from({ length: Math.ceil(order.length / batchSize) }, (_, i) =>
    order.slice(i * batchSize, (i + 1) * batchSize),
  );
  const answers: Answer[] = [];
  for (const batch of watch("Answering", batches)) {
    const chosen = batch.map((index) => prompts[index]!);
    const texts = await answerBatch(session, chosen, answerLength);
    batch.forEach((index, i) => {
      const { reference, referenceTokens } = prompts[index]!;
      answers[index] = { ...texts[i]!, reference, referenceTokens };
    });
  }
  return answers;
}

async function answerBatch(
  session: Session,
  prompts: readonly AnswerPrompt[],
  answerLength: number,
): Promise<Pick<Answer, "text" | "finish" | "tokens">[]> {
  const tokenizer = requireTokenizer(session.model);
  const { stopIds } = session.model;
  const rows = prompts.map(({ ids }) => ids);
  const longest = Math.max(...rows.map((row) => row.length)) + answerLength;
  const maxLength = Math.min(session.model.config.maxPositions, longest);
  const added: number[][] = rows.map(() => []);
  const full = (ids: readonly number[]) =>
    ids.length >= answerLength || stopIds.includes(ids.at(-1) ?? -1);
  for await (const ids of generateIds(session, rows, { maxLength, stopIds })) {
    ids.forEach((id, row) => {
      if (id !== undefined && !full(added[row]!)) added[row]!.push(id);
    });
    if (added.every(full)) break;
  }
  return added.map((ids) => {
    const stopped = stopIds.includes(ids.at(-1) ?? -1);
    return {
      text: tokenizer.decode(stopped ? ids.slice(0, -1) : ids).trim(),
      finish: stopped ? "stop" : "length",
      tokens: ids.length,
    };
  });
}
