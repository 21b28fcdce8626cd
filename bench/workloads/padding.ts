import { type Batch, makeBatch } from "../../src/data/batches.js";
import { dataRows } from "../../src/data/dataFiles.js";
import { type Example, prepareExamples } from "../../src/data/examples.js";
import { filterRows } from "../../src/data/filters.js";
import { packed, packedBatch } from "../../src/data/packing.js";
import type { Row } from "../../src/data/rows.js";
import { chooseTemplate } from "../../src/data/templates.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { openModel } from "../../src/hub/openModel.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { openSession } from "../../src/runtime/session.js";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { type TrainingSample, timedTraining } from "../stepTimes.js";
import { timedEngine } from "../stopwatch.js";
import { stepLora } from "./step.js";

const sequenceLength = 512;

export interface PaddingOptions {
  /** Model folder; its own tokenizer is not used. */
  readonly folder: string;
  /** tokenizer.model of the real Gemma. */
  readonly tokenizer: string;
  readonly data: string;
  readonly rows: number;
  readonly threads: number;
}

export interface PaddingSample {
  /** A row of `sequenceLength` tokens with a target at each. */
  readonly full: TrainingSample;
  /** Every 25th row by length, one at a time. */
  readonly alone: TrainingSample;
  /** Every 25th of the packs that all rows make. */
  readonly packed: TrainingSample;
  readonly packs: number;
  /** Inputs of all rows. */
  readonly tokens: number;
}

const every = 25;

/** Steps on real rows one at a time and packed, beside a step on a full row. */
export async function openPadding(options: PaddingOptions): Promise<() => Promise<PaddingSample>> {
  const examples = await readExamples(options);
  const order = [...examples.keys()].sort(
    (a, b) => examples[a]!.ids.length - examples[b]!.ids.length,
  );
  const lengths = Int32Array.from(examples, ({ ids }) => ids.length);
  const packs = packed(Uint32Array.from(examples.keys()), lengths, sequenceLength);
  // The middle of each 25, so that neither the short nor the long rows count double.
  const middle = (_: unknown, i: number) => i % every === (every - 1) / 2;
  const alone = order.filter(middle).map((index) => makeBatch(examples, [index], 0));
  const together = packs.filter(middle).map((pack) => packedBatch(examples, [pack], 0));

  const model = await openModel(options.folder);
  const adapter = createAdapter(stepLora, gemmaModules(model.config), 0);
  const { parameters } = adapter;
  const clock = timedEngine(onnxEngine({ threads: options.threads }));
  const session = openSession(model, clock.engine, adapter);
  const program = await session.training(sequenceLength, { recompute: false });
  const optimizer = adamW(parameters.slots, { weightDecay: 0.01 });
  const train = (batches: readonly Batch[]) =>
    timedTraining(clock, {
      ...{ program, parameters, optimizer, schedule: () => 1e-5 },
      source: { stepsIn: () => batches.length, batches: (_, index) => [batches[index]!] },
      totalSteps: batches.length,
      objective: { kind: "mean" },
    });
  const full = fullRow(together[0]!);
  return async () => ({
    full: await train([full, full]),
    alone: await train(alone),
    packed: await train(together),
    packs: packs.length,
    tokens: lengths.reduce((sum, length) => sum + length - 1, 0),
  });
}

async function readExamples(options: PaddingOptions): Promise<Example[]> {
  const all: Row[] = [];
  for await (const row of dataRows([options.data])) all.push(row);
  const rows = filterRows(all, ["no-context"]).slice(0, options.rows);
  const tokenizer = loadSentencePiece(options.tokenizer);
  const template = chooseTemplate("tutorial", rows);
  return [...prepareExamples(rows, { template, tokenizer, sequenceLength }).examples];
}

/** A batch of one row as long as can be, made of another's ids. */
function fullRow({ ids }: Batch): Batch {
  const repeated = Int32Array.from({ length: sequenceLength }, (_, i) => ids[i % ids.length]!);
  const weights = new Float32Array(sequenceLength).fill(1);
  const sizes = { size: 1, length: sequenceLength, targetTokens: sequenceLength, rows: [0] };
  return { ids: repeated, targets: repeated, weights, ...sizes };
}
