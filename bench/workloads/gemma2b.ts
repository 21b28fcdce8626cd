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
import type { WeightType } from "../../src/hub/weightTypes.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { openSession, requireTokenizer } from "../../src/runtime/session.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { type ResidentMemory, residentMemory } from "../memory.js";
import { type TrainingSample, timedTraining } from "../stepTimes.js";
import { timedEngine } from "../stopwatch.js";

const sequenceLength = 512;
const question = "What should I do on a trip to Europe?";

export interface Gemma2bOptions {
  readonly folder: string;
  readonly weights: WeightType;
  readonly data: string;
  readonly steps: number;
  readonly newTokens: number;
  readonly threads: number;
}

export interface Gemma2bTraining extends TrainingSample {
  readonly parameters: number;
  /** Tokens of each step's row. */
  readonly lengths: readonly number[];
  readonly memory: ResidentMemory;
}

export interface Gemma2bGeneration {
  readonly ids: readonly number[];
  readonly text: string;
  readonly secondsPerToken: readonly number[];
  readonly memory: ResidentMemory;
}

/**
 * LoRA rank 4 in Keras's layout on the tutorial's rows that are nearest to the sequence length, one
 * row a step, with recomputation.
 */
export async function openGemma2bTraining(
  options: Gemma2bOptions,
): Promise<() => Promise<Gemma2bTraining>> {
  const { tokenizer, model, adapter, engine } = await openTuned(options);
  const { template, rows } = await readTutorial(options.data, 1400);
  const { examples } = prepareExamples(rows, { template, tokenizer, sequenceLength });
  const distance = ({ ids, truncated }: (typeof examples)[number]) =>
    Math.abs(ids.length - 1 + truncated - sequenceLength);
  const chosen = [...examples].sort((a, b) => distance(a) - distance(b)).slice(0, options.steps);
  const batches = chosen.map((_, i) => makeBatch(chosen, [i], tokenizer.padId));
  const { parameters } = adapter;
  const clock = timedEngine(engine);
  return async () => {
    const session = openSession(model, clock.engine, adapter);
    const sample = await timedTraining(
      clock,
      {
        program: await session.training(sequenceLength, { recompute: true }),
        parameters,
        optimizer: adamW(parameters.slots, { weightDecay: 0.01 }),
        schedule: () => 5e-5,
        source: { stepsIn: () => batches.length, batches: (_, index) => [batches[index]!] },
        totalSteps: batches.length,
        objective: { kind: "mean" },
      },
      ({ step, loss, seconds }) => {
        process.stderr.write(`step ${step}: loss ${loss.toFixed(4)}, ${seconds.toFixed(1)} s\n`);
      },
    );
    const memory = residentMemory();
    await session.close();
    const lengths = batches.map((batch) => batch.length);
    return { ...sample, parameters: parameters.values.length, lengths, memory };
  };
}

/** Greedy generation with an adapter on the model. */
export async function openGemma2bGeneration(
  options: Gemma2bOptions,
): Promise<() => Promise<Gemma2bGeneration>> {
  const { tokenizer, model, adapter, engine } = await openTuned(options);
  const { template } = await readTutorial(options.data, 10);
  return async () => {
    const session = openSession(model, engine, adapter);
    const prompt = promptIds(template, { instruction: question }, tokenizer);
    const maxLength = prompt.length + options.newTokens;
    const decoder = await session.decoder(maxLength);
    const ids: number[] = [];
    const secondsPerToken: number[] = [];
    const settings = { maxLength, sampler: greedy(), stopIds: [], guess: false };
    let began = performance.now();
    for await (const [id] of generateTokens(decoder, [prompt], settings)) {
      ids.push(id!);
      secondsPerToken.push((performance.now() - began) / 1000);
      began = performance.now();
    }
    const memory = residentMemory();
    await session.close();
    return { ids, text: tokenizer.decode(ids), secondsPerToken, memory };
  };
}

async function openTuned({ folder, weights, threads }: Gemma2bOptions) {
  const onNotice = (text: string) => process.stderr.write(`${text}\n`);
  const model = await openModel(folder, { weights, onNotice });
  const adapter = createAdapter(
    { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout: "keras" },
    gemmaModules(model.config),
    0,
  );
  return { model, adapter, tokenizer: requireTokenizer(model), engine: onnxEngine({ threads }) };
}

/** Those of the first rows that have no context, and the template that makes text of them. */
async function readTutorial(data: string, count: number) {
  const all: Row[] = [];
  for await (const row of dataRows([data])) {
    all.push(row);
    if (all.length === count) break;
  }
  const rows = filterRows(all, ["no-context"]);
  return { rows, template: chooseTemplate("tutorial", rows) };
}
