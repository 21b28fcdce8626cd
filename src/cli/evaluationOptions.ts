import { z } from "zod";
import { finetuneSchema } from "../recipes/finetuneConfig.js";
import { openProgress } from "./progress.js";

const { data, filter, columns, template, limit, targets, overlong, batchSize } =
  finetuneSchema.shape;

/** What models are measured on and how: the options that `evaluate` and `compare` share. */
export const evaluationSchema = z.strictObject({
  data: data.optional().describe("data to measure on: file, folder, or what to download"),
  task: z
    .array(z.string())
    .default([])
    .describe("multiple-choice questions in ARC's or HellaSwag's format"),
  ...{ filter, columns, template, limit, targets, overlong },
  sequenceLength: z
    .int()
    .min(2)
    .optional()
    .describe("longest row in tokens (default: 512, or what the model takes)"),
  batchSize: batchSize.unwrap().default(4).describe("rows computed at a time"),
  answers: z.int().nonnegative().default(20).describe("answer the prompts of so many rows"),
  answerLength: z.int().positive().default(128).describe("longest answer in tokens"),
  confidence: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.95)
    .describe("share of draws that an interval covers"),
  resamples: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(1000)
    .describe("how many times rows are drawn for the intervals"),
  seed: z.int().nonnegative().default(0).describe("seed of the draws"),
  report: z.string().optional().describe("write an HTML report to this file"),
});

/** Shows on stderr how many batches were taken, as they are. */
export function* watch<T>(what: string, items: readonly T[]): Generator<T> {
  const progress = openProgress(what);
  try {
    for (const [done, item] of items.entries()) {
      progress.update({ done, total: items.length, details: ["batches"] });
      yield item;
    }
    progress.update({ done: items.length, total: items.length, details: ["batches"] });
  } finally {
    progress.stop();
  }
}
