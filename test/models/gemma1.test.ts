import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/data/batches.js";
import { allocateParameters, type Parameters, views } from "../../src/engines/parameters.js";
import { trainableWeights } from "../../src/models/gemma/model.js";
import {
  evaluationProgram,
  type GemmaGraph,
  logitsProgram,
  trainingProgram,
} from "../../src/models/gemma/programs.js";
import { batchInputs, computeGradient, globalNorm } from "../../src/training/gradient.js";
import { train } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { fixture } from "../support/modelFolder.js";
import { openTensors } from "../support/safetensorsFile.js";
import * as tiny from "../support/tinyGemma.js";

const maxLength = 64;

/** Logits and hidden states of every real token: `[tokens, V]` and `[tokens, D]`. */
async function forward(
  model: GemmaGraph,
  { ids, size, length }: Batch,
  rows: Int32Array,
  parameters = {},
) {
  const executable = await tiny.engine.compile(logitsProgram(model, { maxLength }));
  const shape = [size, length];
  const positions = Int32Array.from(ids, (_, i) => i % length);
  const outputs = await executable.run({
    ids: { data: ids, shape },
    positions: { data: positions, shape },
    rows: { data: rows, shape: [rows.length] },
    ...parameters,
  });
  await executable.close();
  return { logits: outputs.logits!.data, hidden: outputs.hidden!.data };
}

/** Places of real tokens, and the fixture's rows there. */
function realTokens(name: "nopad" | "pad") {
  const mask = tiny.truth.tensor(`${name}/attention_mask`).data;
  return Int32Array.from(mask.keys()).filter((place) => mask[place] === 1);
}

function rowsOf(data: ArrayLike<number>, width: number, rows: Int32Array): Float32Array {
  const all = Float32Array.from(data);
  return Float32Array.from(
    [...rows].flatMap((row) => [...all.subarray(row * width, (row + 1) * width)]),
  );
}

async function gradientOf(
  model: GemmaGraph,
  parameters: Parameters,
  batch: Batch,
  recompute: boolean,
) {
  const executable = await tiny.engine.compile(trainingProgram(model, { maxLength, recompute }));
  const result = await computeGradient(executable, parameters, [batch], { kind: "mean" });
  await executable.close();
  return { ...result, gradients: views(parameters.slots, parameters.gradients) };
}

describe("the forward pass of Gemma 1 gives what Transformers gives", () => {
  test.each(["nopad", "pad"] as const)("%s: logits within 2e-5", async (name) => {
    const rows = realTokens(name);
    const { logits } = await forward(tiny.graph(), tiny.batch(name), rows);
    const wanted = rowsOf(tiny.truth.tensor(`${name}/logits`).data, 512, rows);
    expect(largestDifference(logits, wanted)).toBeLessThan(2e-5);
  });

  test("hidden states after the final norm within 2e-5", async () => {
    const { hidden } = await forward(tiny.graph(), tiny.batch("nopad"), realTokens("nopad"));
    const wanted = tiny.truth.tensor("nopad/hidden_3").data;
    expect(largestDifference(hidden, wanted)).toBeLessThan(2e-5);
  });

  test.each(["nopad", "pad", "nopad2"] as const)(
    "%s: the loss of every token and their mean",
    async (name) => {
      const executable = await tiny.engine.compile(evaluationProgram(tiny.graph(), { maxLength }));
      const batch = tiny.batch(name);
      const inputs = batchInputs(batch, batch.targetTokens);
      const { loss, rowLoss } = await executable.run(inputs);
      await executable.close();
      const { hf_mean_over_valid_tokens: mean, valid_targets: count } = tiny.expected.loss[name];
      expect(batch.targetTokens).toBe(count);
      expect(Math.abs(loss!.data[0]! - mean)).toBeLessThan(2e-6);
      if (name === "nopad2") return;
      const nll = tiny.truth.tensor(`${name}/nll`).data;
      const wanted = Array.from(inputs.rows!.data, (place) => nll[place - Math.floor(place / 20)]!);
      expect(largestDifference(rowLoss!.data, wanted)).toBeLessThan(2e-5);
    },
  );

  test("what stands on the right of a token does not change it", async () => {
    const batch = tiny.batch("nopad");
    const before = Int32Array.from({ length: 12 }, (_, i) => i);
    const changed = { ...batch, ids: batch.ids.map((id, place) => (place % 20 < 12 ? id : 7)) };
    const [one, two] = await Promise.all(
      [batch, changed].map((b) => forward(tiny.graph(), b, before)),
    );
    expect(largestDifference(one!.logits, two!.logits)).toBeLessThan(1e-6);
  });
});

describe.each([false, true])("gradients, recompute %s", (recompute) => {
  test("of every weight, the embedding's two uses included, within 1e-5", async () => {
    const trainable = trainableWeights(tiny.config);
    const parameters = allocateParameters(
      [...trainable].map(([name, { shape }]) => ({ name, shape: shape as number[] })),
    );
    for (const [name, { data }] of Object.entries(views(parameters.slots, parameters.values))) {
      data.set(tiny.weights.tensor(name).data);
    }
    const model = {
      config: tiny.config,
      tensor: (name: string) => trainable.get(name)!,
      delta: () => undefined,
      trainable,
    };
    const batch = tiny.batch("pad");
    const { loss, gradients } = await gradientOf(model, parameters, batch, recompute);
    expect(Math.abs(loss - tiny.expected.loss.pad.hf_mean_over_valid_tokens)).toBeLessThan(2e-6);
    const wanted = openTensors(fixture("gemma1_tiny/full_grads.safetensors"));
    expect(Object.keys(gradients).sort()).toEqual([...wanted.names].sort());
    for (const [name, { data }] of Object.entries(gradients)) {
      expect(relativeError(data, wanted.tensor(name).data), name).toBeLessThan(1e-5);
    }
  });

  test.each([
    ["qv", "nopad"],
    ["qv", "pad"],
    ["all", "nopad"],
    ["all", "pad"],
  ] as const)("of LoRA on %s, %s, within 1e-5", async (which, name) => {
    const adapter = tiny.adapter(which);
    const { loss, gradients } = await gradientOf(
      tiny.graph(adapter),
      adapter.parameters,
      tiny.batch(name),
      recompute,
    );
    const wanted = tiny.loraTensors(which);
    const facts = tiny.expected.lora[which];
    expect(Math.abs(loss - facts[`loss_${name}`])).toBeLessThan(2e-6);
    expect(adapter.parameters.values.length).toBe(facts.trainable);
    for (const [variable, { data }] of Object.entries(gradients)) {
      const truth = wanted.tensor(`${name}/grad/${tiny.fixtureName(variable)}`).data;
      expect(relativeError(data, truth), variable).toBeLessThan(1e-5);
    }
    const norm = globalNorm(adapter.parameters.gradients);
    expect(Math.abs(norm / facts[`grad_norm_${name}`] - 1)).toBeLessThan(1e-5);
  });
});

describe("LoRA", () => {
  test.each([
    ["qv", "nopad"],
    ["qv", "pad"],
    ["all", "nopad"],
  ] as const)("on %s, %s: logits within 2e-5", async (which, name) => {
    const adapter = tiny.adapter(which);
    const { slots, values } = adapter.parameters;
    const rows = realTokens(name);
    const { logits } = await forward(
      tiny.graph(adapter),
      tiny.batch(name),
      rows,
      views(slots, values),
    );
    const wanted = rowsOf(tiny.loraTensors(which).tensor(`${name}/logits`).data, 512, rows);
    expect(largestDifference(logits, wanted)).toBeLessThan(2e-5);
  });

  describe.each([
    { key: "torch_eps1e-8", epsilon: 1e-8, epsilonPlacement: "torch" },
    { key: "keras_eps1e-7", epsilon: 1e-7, epsilonPlacement: "keras" },
  ] as const)("three steps of AdamW, $key", ({ key, epsilon, epsilonPlacement }) => {
    test.each(["qv", "all"] as const)(
      "on %s: losses, and parameters within 1e-5",
      async (which) => {
        const adapter = tiny.adapter(which);
        const executable = await tiny.engine.compile(
          trainingProgram(tiny.graph(adapter), { maxLength, recompute: false }),
        );
        const order = ["nopad", "pad", "nopad2"] as const;
        const { slots } = adapter.parameters;
        const losses: number[] = [];
        await train({
          program: executable,
          parameters: adapter.parameters,
          optimizer: adamW(slots, { epsilon, epsilonPlacement, weightDecay: 0.01 }),
          schedule: () => 5e-3,
          source: { stepsPerEpoch: 3, batches: (_epoch, index) => [tiny.batch(order[index]!)] },
          totalSteps: 3,
          reduction: { kind: "mean" },
          onStep: ({ loss }) => {
            losses.push(loss);
          },
        });
        await executable.close();
        const before = tiny.expected.lora[which].train[key].losses_before_each_step;
        expect(largestDifference(losses, before)).toBeLessThan(1e-5);
        const wanted = tiny.loraTensors(which);
        for (const [name, { data }] of Object.entries(views(slots, adapter.parameters.values))) {
          const truth = wanted.tensor(`${key}/${tiny.fixtureName(name)}`).data;
          expect(relativeError(data, truth), name).toBeLessThan(1e-5);
        }
      },
    );
  });
});
