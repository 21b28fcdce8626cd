import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Batch } from "../../src/data/batches.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { views } from "../../src/engines/parameters.js";
import { readFloat32, readSafetensorsHeader, readTensor } from "../../src/formats/safetensors.js";
import { emptyAdapter } from "../../src/lora/adapter.js";
import type { LoraConfig } from "../../src/lora/config.js";
import { loraVariables } from "../../src/lora/variables.js";
import type { GemmaConfig } from "../../src/models/gemma/config.js";
import { bindWeights } from "../../src/models/gemma/model.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { openSession } from "../../src/runtime/session.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { packFolder } from "../places.js";
import { type TrainingSample, timedTraining } from "../stepTimes.js";
import { timedEngine } from "../stopwatch.js";

export const workloadSConfig: GemmaConfig = {
  vocabularySize: 4096,
  numLayers: 4,
  numHeads: 4,
  numKeyValueHeads: 1,
  hiddenSize: 256,
  intermediateSize: 1024,
  headDim: 64,
  rmsNormEps: 1e-6,
  ropeBase: 10_000,
  maxPositions: 1024,
};
export const workloadSLora: LoraConfig = {
  rank: 4,
  alpha: 8,
  targets: ["q_proj", "v_proj"],
  layout: "standard",
};
export const workloadSBatch = { size: 4, length: 128 } as const;
const steps = 20;

export interface WorkloadSOptions {
  readonly folder: string;
  readonly prepack: boolean;
  readonly threads: number;
}

export interface WorkloadSSample extends TrainingSample {
  /** Largest distance of a step's loss to the float64 truth. */
  readonly lossError: number;
  /** Largest ‖p − p*‖ / ‖p*‖ of a variable after the last step. */
  readonly parameterError: number;
}

const expectedSchema = z.object({ losses_f64: z.array(z.number()).length(steps) });

/** The 20 steps of the fixture from its own initial adapter, compared with its results. */
export async function openWorkloadS(
  options: WorkloadSOptions,
): Promise<() => Promise<WorkloadSSample>> {
  const { folder, threads, prepack } = options;
  const prepackWeights = prepack && { folder: packFolder() };
  const tensors = (name: string) => readSafetensorsHeader(join(folder, name)).tensors;
  const weights = bindWeights(workloadSConfig, tensors("base.safetensors"), folder);
  const batchTensors = tensors("batch.safetensors");
  const initial = tensors("lora_init.safetensors");
  const final = tensors("lora_after20.safetensors");
  const json: unknown = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
  const expected = expectedSchema.parse(json).losses_f64;

  const modules = gemmaModules(workloadSConfig);
  const adapter = emptyAdapter(workloadSLora, modules);
  const { parameters } = adapter;
  const values = views(parameters.slots, parameters.values);
  const variables = loraVariables(workloadSLora, modules).map(({ name, module, matrix }) => ({
    data: values[name]!.data,
    stored: `base_model.model.${module.path}.lora_${matrix.toUpperCase()}.weight`,
  }));
  const clock = timedEngine(onnxEngine({ threads, prepackWeights }));
  const text = { tokenizer: undefined, chatTemplate: undefined, quantised: [], stopIds: [] };
  const files = { folder, weights, frozen: weights };
  const model = { name: "workload_s", config: workloadSConfig, ...files, ...text };
  const session = openSession(model, clock.engine, adapter);
  const program = await session.training(workloadSBatch.length, { recompute: false });
  const tokens = workloadSBatch.size * workloadSBatch.length;
  const batch: Batch = {
    ...workloadSBatch,
    ids: readTensor(batchTensors.get("input_ids")!) as Int32Array,
    targets: readTensor(batchTensors.get("targets")!) as Int32Array,
    weights: new Float32Array(tokens).fill(1),
    targetTokens: tokens,
    rows: [0, 1, 2, 3],
  };
  return async () => {
    for (const { data, stored } of variables) data.set(readFloat32(initial.get(stored)!));
    const sample = await timedTraining(clock, {
      program,
      parameters,
      optimizer: adamW(parameters.slots, {
        epsilon: 1e-8,
        weightDecay: 0.01,
        epsilonPlacement: "torch",
      }),
      schedule: () => 1e-3,
      source: { stepsIn: () => steps, batches: () => [batch] },
      totalSteps: steps,
      objective: { kind: "mean" },
    });
    const lossErrors = sample.losses.map((loss, i) => Math.abs(loss - expected[i]!));
    const parameterErrors = variables.map(({ data, stored }) =>
      relativeDistance(data, readFloat32(final.get(stored)!)),
    );
    return {
      ...sample,
      lossError: Math.max(...lossErrors),
      parameterError: Math.max(...parameterErrors),
    };
  };
}

function relativeDistance(values: Float32Array, truth: Float32Array): number {
  let [difference, size] = [0, 0];
  truth.forEach((expected, i) => {
    difference += (values[i]! - expected) ** 2;
    size += expected ** 2;
  });
  return Math.sqrt(difference / size);
}
