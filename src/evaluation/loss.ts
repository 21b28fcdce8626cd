import type { Metric } from "./metric.js";
import type { TokenScores } from "./rows.js";

/** Mean cross-entropy per target token; every token counts the same, whatever row it is in. */
export const loss: Metric<TokenScores> = {
  key: "loss",
  label: "Loss",
  meaning: "nats per token; lower is better",
  better: "lower",
  shown: 4,
  part: ({ loss, tokens }) => ({ sum: loss, weight: tokens }),
};
