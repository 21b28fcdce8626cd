import { type Metric, one } from "./metric.js";
import type { Answer } from "./rows.js";

/** Tokens of an answer, its end token included. Where an answer was cut, it would have been longer. */
export const answerLength: Metric<Answer> = {
  key: "answer_length",
  label: "Answer length",
  meaning: "mean tokens of an answer",
  better: undefined,
  shown: 1,
  part: ({ tokens }) => one(tokens),
};

/** Tokens of the answers over the tokens of the rows' own: 1 where the model says as much as the data does. */
export const lengthRatio: Metric<Answer> = {
  key: "length_ratio",
  label: "Length ratio",
  meaning: "tokens of the answers over those of the rows' own",
  better: undefined,
  follows: "answer_length",
  shown: 2,
  part: ({ tokens, referenceTokens }) => ({ sum: tokens, weight: referenceTokens }),
};
