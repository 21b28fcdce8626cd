import { z } from "zod";
import { scheduleNames } from "../training/schedules.js";
import { scheduleFields } from "./optimizationConfig.js";

const count = z.int().positive();

/** Everything that decides a pre-training run; the command line's options are made from it. */
export const pretrainSchema = z.strictObject({
  config: z.string().describe("config.json of the model's shape"),
  tokenizer: z.string().describe("SentencePiece tokenizer.model"),
  text: z.array(z.string()).min(1).describe("plain text files to learn from"),
  run: z.string().describe("folder for the results; must not exist yet"),
  from: z.string().optional().describe("model folder to start from instead of random weights"),
  steps: count.describe("optimizer steps"),
  sequenceLength: count.min(2).default(256).describe("tokens in a row"),
  batchSize: count.default(16).describe("rows per optimizer step"),
  learningRate: z.number().positive().default(1e-3).describe("peak learning rate"),
  schedule: z.enum(scheduleNames).default("cosine").describe("how the learning rate decays"),
  warmupSteps: z.int().nonnegative().default(100).describe("steps of linear warm-up"),
  ...scheduleFields(0.05),
  weightDecay: z.number().nonnegative().default(0.1).describe("AdamW's decay of matrices"),
  beta2: z.number().min(0).lt(1).default(0.95).describe("AdamW's decay of the second moment"),
  clipNorm: z.number().positive().default(1).describe("scale gradients down to this global norm"),
  heldOut: z.number().gt(0).lt(1).default(0.005).describe("share of documents kept for evaluation"),
  evaluateEvery: count.default(500).describe("steps between held-out losses"),
  saveEvery: count.default(250).describe("steps between checkpoints"),
  dtype: z
    .enum(["bfloat16", "float32"])
    .default("bfloat16")
    .describe("type of the weights written"),
  seed: z.int().nonnegative().default(0).describe("seed of initialisation and order"),
});

export type PretrainConfig = z.output<typeof pretrainSchema>;
export type PretrainInput = z.input<typeof pretrainSchema>;
