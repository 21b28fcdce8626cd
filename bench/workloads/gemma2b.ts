import { makeBatch } from "../../src/data/batches.js";
import { dataRows } from "../../src/data/dataFiles.js";
import { promptIds } from "../../src/data/encode.js";
import { prepareExamples } from "../../src/data/examples.js";
import { filterRows } from "../../src/data/filters.js";
import type { Row } from "../../src/data/rows.js";
import { chooseTemplate } from "../../src/data/templates.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { generateTokens } from "../../src/generation/generate.js";
import { greedy } from "../../src/generation/samplers.js";
import { openModel } from "../../src/hub/openModel.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { openSession, requireTokenizer } from "../../src/runtime/session.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { type ResidentMemory, residentMemory } from "../memory.js";
import { type TrainingSample, timedTraining } from "../stepTimes.js";
import { timedEngine } from "../stopwatch.js";

const sequenceLength = 512;
const prompt = "What should I do on a trip to Europe?";

export interface Gemma2bOptions {
  readonly folder: string;
  readonly data: string;
  readonly steps: number;
  readonly newTokens: number;
  readonly threads: number;
}

export interface Gemma2bSample extends TrainingSample {
  readonly parameters: number;
  /** Tokens of each step's row. */
  readonly lengths: readonly number[];
  readonly generated: readonly number[];
  readonly text: string;
  readonly secondsPerToken: readonly number[];
  readonly afterTraining: ResidentMemory;
  readonly afterGeneration: ResidentMemory;
}

/**
 * LoRA rank 4 in Keras's layout on the tutorial's rows that are nearest to the sequence length, one
 * row a step; then, with the training program closed, greedy generation with the adapter.
 */
export async function openGemma2b(options: Gemma2bOptions): Promise<() => Promise<Gemma2bSample>> {
  const model = await openModel(options.folder);
  const tokenizer = requireTokenizer(model);
  const all: Row[] = [];
  for await (const row of dataRows([options.data])) all.push(row);
  const rows = filterRows(all, ["no-context"]).slice(0, 1000);
  const template = chooseTemplate("tutorial", rows);
  const { examples } = prepareExamples(rows, { template, tokenizer, sequenceLength });
  const distance = ({ ids, truncated }: (typeof examples)[number]) =>
    Math.abs(ids.length - 1 + truncated - sequenceLength);
  const chosen = [...examples].sort((a, b) => distance(a) - distance(b)).slice(0, options.steps);
  const batches = chosen.map((_, i) => makeBatch(chosen, [i], tokenizer.padId));

  const adapter = createAdapter(
    { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout: "keras" },
    gemmaModules(model.config),
    0,
  );
  const { parameters } = adapter;
  const clock = timedEngine(onnxEngine({ threads: options.threads }));
  return async () => {
    const training = openSession(model, clock.engine, adapter);
    const sample = await timedTraining(
      clock,
      {
        program: await training.training(sequenceLength, { recompute: false }),
        parameters,
        optimizer: adamW(parameters.slots, { weightDecay: 0.01 }),
        schedule: () => 5e-5,
        source: { stepsIn: () => batches.length, batches: (_, index) => [batches[index]!] },
        totalSteps: batches.length,
        reduction: { kind: "mean" },
      },
      ({ step, loss, seconds }) => {
        process.stderr.write(`step ${step}: loss ${loss.toFixed(4)}, ${seconds.toFixed(1)} s\n`);
      },
    );
    const afterTraining = residentMemory();
    await training.close();

    const generation = openSession(model, clock.engine, adapter);
    const ids = promptIds(template, { instruction: prompt }, tokenizer);
    const maxLength = ids.length + options.newTokens;
    const decoder = await generation.decoder(maxLength);
    const generated: number[] = [];
    const secondsPerToken: number[] = [];
    const settings = { maxLength, sampler: greedy(), stopIds: [] };
    let began = performance.now();
    for await (const [id] of generateTokens(decoder, [ids], settings)) {
      generated.push(id!);
      secondsPerToken.push((performance.now() - began) / 1000);
      began = performance.now();
    }
    const afterGeneration = residentMemory();
    await generation.close();
    return {
      ...sample,
      parameters: parameters.values.length,
      lengths: batches.map((batch) => batch.length),
      generated,
      text: tokenizer.decode(generated),
      secondsPerToken,
      afterTraining,
      afterGeneration,
    };
  };
}
