import type { Batch } from "../../src/data/batches.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { openModel } from "../../src/hub/openModel.js";
import type { WeightType } from "../../src/hub/weightTypes.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { createRandom } from "../../src/random.js";
import { type MemoryPlan, planMemory } from "../../src/runtime/memory.js";
import { openSession } from "../../src/runtime/session.js";
import { train } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { stateBytes } from "../../src/training/optimizers/optimizer.js";
import { stepLora } from "./step.js";

export interface PlannedStepOptions {
  /** Model folder; no tokenizer needed. */
  readonly folder: string;
  readonly weights: WeightType;
  readonly rows: number;
  readonly length: number;
  readonly recompute: boolean;
  readonly threads: number;
}

/** The plan of a training step, made as a run makes it, and then three such steps. */
export async function openPlannedStep(
  options: PlannedStepOptions,
): Promise<() => Promise<MemoryPlan>> {
  const { folder, weights, rows, length, recompute, threads } = options;
  const model = await openModel(folder, { weights });
  const adapter = createAdapter(stepLora, gemmaModules(model.config), 0);
  const { parameters } = adapter;
  const optimizer = adamW(parameters.slots, { weightDecay: 0.01 });
  const plan = planMemory(model.config, model.frozen, {
    batchSize: rows,
    sequenceLength: length,
    trainable: parameters.values.length,
    stateBytes: stateBytes(optimizer),
    recompute,
    modules: stepLora.targets,
    process: process.memoryUsage.rss(),
  });
  const session = openSession(model, onnxEngine({ threads }), adapter);
  const program = await session.training(length, { recompute });
  const random = createRandom({ seed: 3, stream: "order" });
  const ids = () =>
    Int32Array.from({ length: rows * length }, () => random.below(model.config.vocabularySize));
  const batch: Batch = {
    ids: ids(),
    targets: ids(),
    weights: new Float32Array(rows * length).fill(1),
    size: rows,
    length,
    targetTokens: rows * length,
    rows: Array.from({ length: rows }, (_, i) => i),
  };
  return async () => {
    await train({
      ...{ program, parameters, optimizer, schedule: () => 1e-4, totalSteps: 3 },
      source: { stepsIn: () => 1, batches: () => [batch] },
      objective: { kind: "mean" },
    });
    return plan;
  };
}
