import { dataRows } from "../../src/data/dataFiles.js";
import { prepareExamples } from "../../src/data/examples.js";
import { filterRows } from "../../src/data/filters.js";
import type { Row } from "../../src/data/rows.js";
import { chooseTemplate } from "../../src/data/templates.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { openModel } from "../../src/hub/openModel.js";
import { createAdapter } from "../../src/lora/adapter.js";
import type { LoraConfig } from "../../src/lora/config.js";
import type { GemmaConfig } from "../../src/models/gemma/config.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { openSession, requireTokenizer } from "../../src/runtime/session.js";
import { evaluate } from "../../src/training/evaluate.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { schedule } from "../../src/training/schedules.js";
import { evaluationBatches, exampleSource } from "../../src/training/sources.js";
import { type TrainingSample, timedTraining } from "../stepTimes.js";
import { timedEngine } from "../stopwatch.js";

/** As `facet finetune` has it by default. */
export const dollyLora: LoraConfig = {
  rank: 4,
  alpha: 4,
  targets: ["q_proj", "v_proj"],
  layout: "keras",
};
const learningRate = 2e-3;
const sequenceLength = 512;

export interface DollyOptions {
  /** Preset or model folder. */
  readonly model: string;
  readonly data: string;
  /** Rows to train on; the `heldOut` rows after them are evaluated before and after. */
  readonly rows: number;
  readonly heldOut: number;
  readonly threads: number;
}

export interface DollySample extends TrainingSample {
  /** Training alone: not the compilation, not the two evaluations. */
  readonly trainSeconds: number;
  /** Mean cross-entropy per held-out token. */
  readonly before: number;
  readonly after: number;
  /** Tokens of each row of the epoch. */
  readonly lengths: readonly number[];
  readonly config: GemmaConfig;
}

/** One epoch over the first no-context Dolly rows, batch 1, tutorial template, from a new adapter. */
export async function openDolly(options: DollyOptions): Promise<() => Promise<DollySample>> {
  const model = await openModel(options.model);
  const tokenizer = requireTokenizer(model);
  const { padId } = tokenizer;
  const all: Row[] = [];
  for await (const row of dataRows([options.data])) all.push(row);
  const rows = filterRows(all, ["no-context"]);
  const template = chooseTemplate("tutorial", rows);
  const prepare = (from: number, count: number) => {
    const part = rows.slice(from, from + count);
    return prepareExamples(part, { template, tokenizer, sequenceLength }).examples;
  };
  const training = prepare(0, options.rows);
  const heldOut = prepare(options.rows, options.heldOut);
  const clock = timedEngine(onnxEngine({ threads: options.threads }));

  return async () => {
    const adapter = createAdapter(dollyLora, gemmaModules(model.config), 0);
    const { parameters } = adapter;
    const session = openSession(model, clock.engine, adapter);
    const heldOutLoss = async () => {
      const program = await session.evaluation(sequenceLength);
      const batches = evaluationBatches(heldOut, 4, padId);
      return (await evaluate(program, session.parameters, batches)).loss;
    };
    try {
      const program = await session.training(sequenceLength, { recompute: false });
      const before = await heldOutLoss();
      const began = performance.now();
      const totalSteps = training.length;
      const sample = await timedTraining(clock, {
        program,
        parameters,
        optimizer: adamW(parameters.slots, { weightDecay: 0.01 }),
        schedule: schedule("linear", { learningRate, totalSteps, warmupSteps: 0 }),
        source: exampleSource(training, { batchSize: 1, padId, seed: 0, shuffle: true }),
        totalSteps,
        objective: { kind: "mean" },
      });
      const trainSeconds = (performance.now() - began) / 1000;
      const lengths = training.map((example) => example.ids.length - 1);
      const { config } = model;
      return { ...sample, trainSeconds, before, after: await heldOutLoss(), lengths, config };
    } finally {
      await session.close();
    }
  };
}
