/**
 * The Keras tutorial "Fine-tune Gemma models in Keras using LoRA", line for line.
 *
 *   npx tsx examples/tutorial.ts [preset or model folder] [data file] [rows]
 *
 * The tutorial uses gemma_2b_en and the first 1,000 rows of databricks-dolly-15k without context.
 * Without arguments this runs the model and the data that come with Facet.
 */
import { readFileSync } from "node:fs";
import {
  AdamW,
  GemmaCausalLM,
  SparseCategoricalAccuracy,
  SparseCategoricalCrossentropy,
} from "../src/index.js";

const [preset = "facet_nano_en", file = "assets/starter.jsonl", rows = "1000"] =
  process.argv.slice(2);

// Load the data: rows without context, as one text each.
const template = (instruction: string, response: string) =>
  `Instruction:\n${instruction}\n\nResponse:\n${response}`;
const data: string[] = [];
for (const line of readFileSync(file, "utf8").split("\n")) {
  if (line === "") continue;
  const features = JSON.parse(line) as Record<string, string>;
  if (features.context) continue;
  data.push(template(features.instruction!, features.response!));
}
data.splice(Number(rows));

// Load the model.
const lm = await GemmaCausalLM.fromPreset(preset);
lm.summary();

// Inference before fine-tuning.
lm.compile({ sampler: "top_k" });
const europe = template("What should I do on a trip to Europe?", "");
const photosynthesis = template(
  "Explain the process of photosynthesis in a way that a child could understand.",
  "",
);
console.log(await lm.generate(europe, { maxLength: 256 }));
console.log(await lm.generate(photosynthesis, { maxLength: 256 }));

// LoRA fine-tuning.
lm.backbone.enableLora({ rank: 4 });
lm.summary();
lm.preprocessor.sequenceLength = 512;
const optimizer = new AdamW({ learningRate: 5e-5, weightDecay: 0.01 });
optimizer.excludeFromWeightDecay({ varNames: ["bias", "scale"] });
lm.compile({
  loss: new SparseCategoricalCrossentropy({ fromLogits: true }),
  optimizer,
  weightedMetrics: [new SparseCategoricalAccuracy()],
  sampler: "top_k",
});
await lm.fit(data, { epochs: 1, batchSize: 1 });

// Inference after fine-tuning.
console.log(await lm.generate(europe, { maxLength: 256 }));
console.log(await lm.generate(photosynthesis, { maxLength: 256 }));
await lm.close();
