import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/data/batches.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { views } from "../../src/engines/parameters.js";
import { adapterGraph, emptyAdapter } from "../../src/lora/adapter.js";
import { frozenWeights } from "../../src/models/gemma/model.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { computeGradient } from "../../src/training/gradient.js";
import { train } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { relativeError } from "../support/closeness.js";
import { openTensors } from "../support/safetensorsFile.js";
import { sharedPath } from "../support/sharedFolder.js";

const workload = sharedPath("fixtures/workload_s");
const open = (name: string) => openTensors(join(workload.path, `${name}.safetensors`));

/** PEFT's name of a variable. */
const peftName = (variable: string) =>
  `base_model.model.${variable.replace(/lora_(.)$/, (_, m) => `lora_${m.toUpperCase()}.weight`)}`;

async function setUp() {
  const { config: c } = JSON.parse(readFileSync(join(workload.path, "expected.json"), "utf8"));
  const config = {
    vocabularySize: c.vocab,
    numLayers: c.layers,
    numHeads: c.heads,
    numKeyValueHeads: c.kv_heads,
    hiddenSize: c.d,
    intermediateSize: c.ff,
    headDim: c.head_dim,
    rmsNormEps: c.eps,
    ropeBase: c.rope_theta,
    maxPositions: c.seq,
  };
  const targets = ["q_proj", "v_proj"];
  const lora = { rank: c.lora_r, alpha: c.lora_alpha, targets, layout: "standard" } as const;
  const adapter = emptyAdapter(lora, gemmaModules(config));
  const { parameters } = adapter;
  const start = open("lora_init");
  const variables = views(parameters.slots, parameters.values);
  for (const [name, { data }] of Object.entries(variables)) {
    data.set(start.tensor(peftName(name)).data);
  }
  const graph = { config, tensor: frozenWeights(open("base").tensors), ...adapterGraph(adapter) };
  const program = await onnxEngine().compile(
    trainingProgram(graph, { maxLength: c.seq, recompute: false }),
  );
  const { data: ids, shape } = open("batch").tensor("input_ids");
  const [size, length] = shape as [number, number];
  const batch: Batch = {
    ids: ids as Int32Array,
    targets: open("batch").tensor("targets").data as Int32Array,
    weights: new Float32Array(size * length).fill(1),
    size,
    length,
    targetTokens: size * length,
    rows: [...Array(size).keys()],
  };
  return { constants: c, parameters, variables, program, batch };
}

describe.skipIf(!workload.isThere)("workload S: a model of 4 layers against float64", () => {
  test("the first gradients within 1e-5", async () => {
    const { parameters, program, batch } = await setUp();
    await computeGradient(program, parameters, [batch], { kind: "mean" });
    await program.close();
    const wanted = open("grads_step0");
    for (const [name, { data }] of Object.entries(views(parameters.slots, parameters.gradients))) {
      expect(relativeError(data, wanted.tensor(peftName(name)).data), name).toBeLessThan(1e-5);
    }
  });

  test("20 steps: losses within 5e-5, parameters within 1e-4", async () => {
    const { constants: c, parameters, variables, program, batch } = await setUp();
    const { losses_f64: truth } = JSON.parse(
      readFileSync(join(workload.path, "expected.json"), "utf8"),
    );
    const losses: number[] = [];
    await train({
      program,
      parameters,
      optimizer: adamW(parameters.slots, {
        beta1: c.beta1,
        beta2: c.beta2,
        epsilon: c.adam_eps,
        weightDecay: c.weight_decay,
        epsilonPlacement: "torch",
      }),
      schedule: () => c.lr,
      source: { stepsIn: () => c.steps, batches: () => [batch] },
      totalSteps: c.steps,
      objective: { kind: "mean" },
      onStep: ({ loss }) => {
        losses.push(loss);
      },
    });
    await program.close();
    expect(losses).toHaveLength(truth.length);
    losses.forEach((loss, i) => {
      expect(Math.abs(loss - truth[i])).toBeLessThan(5e-5);
    });
    const wanted = open("lora_after20");
    for (const [name, { data }] of Object.entries(variables)) {
      expect(relativeError(data, wanted.tensor(peftName(name)).data), name).toBeLessThan(1e-4);
    }
  });
});
