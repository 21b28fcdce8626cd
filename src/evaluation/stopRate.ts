import { type Metric, one } from "./metric.js";
import type { Answer } from "./rows.js";

/** The share of answers that the model ended itself. What never learned its stop token runs on until it is cut. */
export const stopRate: Metric<Answer> = {
  key: "stop_rate",
  label: "Stop rate",
  meaning: "answers that end by themselves; higher is better",
  better: "higher",
  shown: "percent",
  part: ({ finish }) => one(finish === "stop"),
};
