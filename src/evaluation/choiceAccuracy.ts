import { type Metric, one } from "./metric.js";
import type { ChoiceScores } from "./rows.js";

/** The first of the largest values. */
const largest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

/** Which choice has the highest log-probability. */
export const likeliestChoice = ({ logProbabilities }: ChoiceScores): number =>
  largest(logProbabilities);

/** The same per character, so that long choices are not at a disadvantage: `acc_norm` of lm-evaluation-harness. */
export const likeliestPerCharacter = ({ logProbabilities, lengths }: ChoiceScores): number =>
  largest(logProbabilities.map((value, i) => value / lengths[i]!));

export const choiceAccuracy: Metric<ChoiceScores> = {
  key: "acc",
  label: "Right choices",
  meaning: "by log-probability; higher is better",
  better: "higher",
  shown: "percent",
  part: (row) => one(likeliestChoice(row) === row.answer),
};

export const choiceAccuracyNormalized: Metric<ChoiceScores> = {
  key: "acc_norm",
  label: "Right choices, by length",
  meaning: "by log-probability per character; higher is better",
  better: "higher",
  shown: "percent",
  part: (row) => one(likeliestPerCharacter(row) === row.answer),
};
