import { loss } from "./loss.js";
import type { Metric } from "./metric.js";
import type { TokenScores } from "./rows.js";

/** e to the loss: among how many equally likely tokens the model would be as unsure. */
export const perplexity: Metric<TokenScores> = {
  key: "perplexity",
  label: "Perplexity",
  meaning: "e to the loss; lower is better",
  better: "lower",
  follows: "loss",
  shown: 2,
  part: loss.part,
  finish: Math.exp,
};
