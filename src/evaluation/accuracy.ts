import type { Metric } from "./metric.js";
import type { TokenScores } from "./rows.js";

/** The share of target tokens that the model ranks first, given the row's own text before them. */
export const accuracy: Metric<TokenScores> = {
  key: "accuracy",
  label: "Accuracy",
  meaning: "next tokens guessed right; higher is better",
  better: "higher",
  shown: "percent",
  part: ({ correct, tokens }) => ({ sum: correct, weight: tokens }),
};
