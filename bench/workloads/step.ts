import type { Batch } from "../../src/data/batches.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { openModel } from "../../src/hub/openModel.js";
import { createAdapter } from "../../src/lora/adapter.js";
import type { LoraConfig } from "../../src/lora/config.js";
import type { GemmaConfig } from "../../src/models/gemma/config.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { createRandom } from "../../src/random.js";
import { openSession } from "../../src/runtime/session.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { packFolder } from "../places.js";
import { type TrainingSample, timedTraining } from "../stepTimes.js";
import { timedEngine } from "../stopwatch.js";

/** The shape of Gemma 3 270M run as Gemma 1. */
export const smallConfig: GemmaConfig = {
  vocabularySize: 262_144,
  numLayers: 18,
  numHeads: 4,
  numKeyValueHeads: 1,
  hiddenSize: 640,
  intermediateSize: 2048,
  headDim: 256,
  rmsNormEps: 1e-6,
  ropeBase: 10_000,
  maxPositions: 8192,
};

export const stepLora: LoraConfig = {
  rank: 4,
  alpha: 8,
  targets: ["q_proj", "v_proj"],
  layout: "standard",
};

export interface StepOptions {
  /** Model folder; no tokenizer needed. */
  readonly folder: string;
  readonly length: number;
  readonly prepack: boolean;
  readonly threads: number;
}

/** One optimizer step on one row of random ids, every one of which has a target. */
export async function openStep(options: StepOptions): Promise<() => Promise<TrainingSample>> {
  const model = await openModel(options.folder);
  const { length, threads, prepack } = options;
  const prepackWeights = prepack && { folder: packFolder() };
  const { parameters, ...adapter } = createAdapter(stepLora, gemmaModules(model.config), 0);
  const clock = timedEngine(onnxEngine({ threads, prepackWeights }));
  const session = openSession(model, clock.engine, { ...adapter, parameters });
  const program = await session.training(length, { recompute: false });
  const optimizer = adamW(parameters.slots, { weightDecay: 0.01 });
  const random = createRandom({ seed: 3, stream: "order" });
  const ids = () => Int32Array.from({ length }, () => random.below(model.config.vocabularySize));
  const batch: Batch = {
    ids: ids(),
    targets: ids(),
    weights: new Float32Array(length).fill(1),
    size: 1,
    length,
    targetTokens: length,
    rows: [0],
  };
  return () =>
    timedTraining(clock, {
      program,
      parameters,
      optimizer,
      schedule: () => 1e-4,
      source: { stepsIn: () => 1, batches: () => [batch] },
      totalSteps: 1,
      objective: { kind: "mean" },
    });
}
