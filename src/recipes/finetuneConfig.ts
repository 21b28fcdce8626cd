import { z } from "zod";
import { overlongChoices } from "../data/examples.js";
import { targetChoices } from "../data/rowTemplate.js";
import { weightTypes } from "../hub/weightTypes.js";
import { scheduleNames } from "../training/schedules.js";
import { loraFields, methodFields } from "./loraConfig.js";
import { objectiveFields } from "./objectiveConfig.js";
import { optimizerFields, scheduleFields } from "./optimizationConfig.js";
import { runningFields } from "./runningConfig.js";

const count = z.int().positive();
const fraction = z.number().min(0).lt(1);

const anyModel =
  "preset, model folder or .gguf file, or what to download: org/name, hf://…, kaggle://… or https://…";
export const modelField = z.string().describe(anyModel);

/**
 * Everything that decides a fine-tuning run. The command line's options are made from this schema,
 * and `run.json` holds a value of it: the same value on the same engine gives the same run.
 */
export const finetuneSchema = z.strictObject({
  model: z.string().optional().describe(`${anyModel} (default: facet_nano_en)`),
  weights: z
    .enum(weightTypes)
    .default("auto")
    .describe(
      "type to keep the model's weights in: that of their files (auto), f32, bf16, or blocks of 8 or 4 bits",
    ),
  data: z
    .union([z.string(), z.array(z.string()).min(1)])
    .describe(
      "data to learn from: file (JSON Lines, JSON, CSV, TSV, Parquet, text; .gz), folder of such, or what to download: org/name, hf://… or https://…",
    ),
  mix: z
    .array(z.number().positive())
    .min(1)
    .optional()
    .describe("weights of several data sets in an epoch, such as 3,1 (default: every row once)"),
  ...objectiveFields,
  run: z
    .string()
    .optional()
    .describe(
      "folder for the results; must not exist yet (default: the first free one of runs/<data>, runs/<data>-2, …)",
    ),
  filter: z.array(z.string()).default([]).describe("keep only rows that pass: no-context"),
  columns: z
    .array(z.string())
    .default([])
    .describe("names for columns, such as prompt=question,completion=answer"),
  template: z
    .string()
    .optional()
    .describe(
      "how a row becomes text: tutorial, gemma-chat, alpaca, plain, text with {field} in it, or a .jinja file",
    ),
  limit: count.optional().describe("use only the first rows that pass the filters"),
  targets: z
    .enum(targetChoices)
    .optional()
    .describe("which tokens count in the loss (default: all; of preferences the completion)"),
  overlong: z
    .enum(overlongChoices)
    .default("truncate")
    .describe("what becomes of rows longer than the sequence length"),
  sequenceLength: count.min(2).default(512).describe("longest row in tokens"),
  validationSplit: fraction.default(0).describe("share of rows held out, chosen by content"),
  ...methodFields,
  ...loraFields,
  epochs: count.default(1).describe("passes over the data"),
  maxSteps: count.optional().describe("stop after this many optimizer steps"),
  batchSize: count.default(1).describe("rows per optimizer step"),
  microBatchSize: count.optional().describe("rows computed at a time (default: the batch size)"),
  learningRate: z
    .number()
    .positive()
    .optional()
    .describe(
      "peak learning rate (default: 2e-4; 2e-3 for models below 50 million parameters; a tenth of that for dpo)",
    ),
  schedule: z.enum(scheduleNames).default("linear").describe("how the learning rate decays"),
  warmupSteps: z.int().nonnegative().default(0).describe("steps of linear warm-up"),
  ...scheduleFields(0),
  ...optimizerFields,
  clipNorm: z.number().positive().optional().describe("scale gradients down to this global norm"),
  packing: z
    .boolean()
    .default(false)
    .describe("put several examples into one row, none of which sees another"),
  groupByLength: z
    .boolean()
    .default(true)
    .describe("make batches of rows of similar length, so that little is padding"),
  shuffle: z.boolean().default(true).describe("visit rows in a new order every epoch"),
  recompute: z
    .boolean()
    .default(false)
    .describe("recompute activations in the backward pass: less memory, more time"),
  memory: z
    .string()
    .optional()
    .describe(
      "choose --micro-batch-size, --recompute and --weights so that the run fits into this size, such as 8GiB",
    ),
  ...runningFields,
  prompts: z
    .array(z.string())
    .default([])
    .describe("instructions to answer before and after training"),
  sampleLength: count.default(128).describe("longest sample in tokens, prompt included"),
  repetitionPenalty: z
    .number()
    .positive()
    .default(1)
    .describe("make tokens that a sample already holds less likely; 1 changes nothing"),
  seed: z.int().nonnegative().default(0).describe("seed of initialisation and order"),
});

export type FinetuneConfig = z.output<typeof finetuneSchema>;
export type FinetuneInput = z.input<typeof finetuneSchema>;
