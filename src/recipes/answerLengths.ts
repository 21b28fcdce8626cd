import { type LengthStatistics, lengthStatistics } from "../data/lengths.js";
import type { EvaluationSet } from "./evaluationSet.js";
import type { Measured } from "./measure.js";

/** Lengths in tokens of the answers of one model, or of the rows' own. */
export interface AnswerLengths {
  readonly name: string;
  readonly lengths: readonly number[];
  readonly statistics: LengthStatistics;
  /** The share of answers that were cut; undefined for the rows' own, of which none is. */
  readonly cut: number | undefined;
}

/** Of at least one prompt: the rows' own answers, then those of each model. */
export function answerLengths(
  { prompts }: EvaluationSet,
  models: ReadonlyMap<string, Measured>,
): AnswerLengths[] {
  const own = prompts.map(({ referenceTokens }) => referenceTokens);
  const name = "the rows' own";
  return [
    { name, lengths: own, statistics: lengthStatistics(own), cut: undefined },
    ...[...models].map(([name, { answers }]) => {
      const lengths = answers.map(({ tokens }) => tokens);
      const cut = answers.filter(({ finish }) => finish === "length").length / answers.length;
      return { name, lengths, statistics: lengthStatistics(lengths), cut };
    }),
  ];
}
