import { join } from "node:path";
import { assets } from "../hub/places.js";
import type { FinetuneInput } from "./finetuneConfig.js";

/** The two prompts of the Keras tutorial, and two more. */
const quickstartPrompts = [
  "What should I do on a trip to Europe?",
  "Explain the process of photosynthesis in a way that a child could understand.",
  "Why do cats purr?",
  "Give me three tips for a good night's sleep.",
] as const;

/** What `npm start` trains: the built-in model on the built-in data, in about a minute on two cores. */
export const quickstartConfig = (run: string): FinetuneInput => ({
  model: "facet_nano_en",
  data: join(assets, "starter.jsonl"),
  run,
  template: "tutorial",
  targets: "completion",
  sequenceLength: 256,
  validationSplit: 0.1,
  rank: 16,
  modules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
  layout: "standard",
  epochs: 4,
  batchSize: 8,
  learningRate: 2e-3,
  schedule: "cosine",
  warmupSteps: 10,
  clipNorm: 1,
  prompts: [...quickstartPrompts],
  sampleLength: 160,
  repetitionPenalty: 1.2,
});
