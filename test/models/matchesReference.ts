import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/data/batches.js";
import { allocateParameters, type Parameters, views } from "../../src/engines/parameters.js";
import { generateTokens } from "../../src/generation/generate.js";
import { greedy } from "../../src/generation/samplers.js";
import { bindWeights, parameterCount, trainableWeights } from "../../src/models/gemma/model.js";
import {
  evaluationProgram,
  type GemmaGraph,
  generationProgram,
  logitsProgram,
  trainingProgram,
} from "../../src/models/gemma/programs.js";
import { batchInputs, computeGradient, globalNorm } from "../../src/training/gradient.js";
import { train } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import {
  type AdapterName,
  type BatchName,
  engine,
  fixtureName,
  type ReferenceGemma,
} from "../support/referenceGemma.js";

const maxLength = 64;

/** Logits `[rows, V]` and hidden states `[rows, D]` at some places of a batch. */
export async function forward(
  model: GemmaGraph,
  { ids, size, length }: Batch,
  rows: Int32Array,
  options: { parameters?: object; maxLength?: number; positionStep?: number } = {},
) {
  const executable = await engine.compile(
    logitsProgram(model, { maxLength: options.maxLength ?? maxLength }),
  );
  const shape = [size, length];
  const step = options.positionStep ?? 1;
  const outputs = await executable.run({
    ids: { data: ids, shape },
    positions: { data: Int32Array.from(ids, (_, i) => step * (i % length)), shape },
    rows: { data: rows, shape: [rows.length] },
    ...options.parameters,
  });
  await executable.close();
  return { logits: outputs.logits!.data, hidden: outputs.hidden!.data };
}

async function gradientOf(
  model: GemmaGraph,
  parameters: Parameters,
  batch: Batch,
  recompute: boolean,
) {
  const executable = await engine.compile(trainingProgram(model, { maxLength, recompute }));
  const result = await computeGradient(executable, parameters, [batch], { kind: "mean" });
  await executable.close();
  return { ...result, gradients: views(parameters.slots, parameters.gradients) };
}

/** Specifies that a model computes, trains and generates what Transformers and PEFT do with it. */
export function matchesReference(tiny: ReferenceGemma): void {
  const vocabulary = tiny.config.vocabularySize;

  /** Places of the tokens that are no padding, and the rows of a fixture's tensor there. */
  const realTokens = (name: BatchName) => {
    const mask = tiny.truth.tensor(`${name}/attention_mask`).data;
    return Int32Array.from(mask.keys()).filter((place) => mask[place] === 1);
  };
  const rowsOf = (data: ArrayLike<number>, rows: Int32Array) => {
    const all = Float32Array.from(data);
    const row = (place: number) => all.subarray(place * vocabulary, (place + 1) * vocabulary);
    return Float32Array.from([...rows].flatMap((place) => [...row(place)]));
  };

  test("its checkpoint binds", () => {
    expect(bindWeights(tiny.config, tiny.weights.tensors, "/m").size).toBe(
      tiny.expected.tensor_count,
    );
    expect(parameterCount(tiny.config)).toBe(tiny.expected.params);
  });

  describe("the forward pass", () => {
    test.each(["nopad", "pad"] as const)("%s: logits within 2e-5", async (name) => {
      const rows = realTokens(name);
      const { logits } = await forward(tiny.graph(), tiny.batch(name), rows);
      const wanted = rowsOf(tiny.truth.tensor(`${name}/logits`).data, rows);
      expect(largestDifference(logits, wanted)).toBeLessThan(2e-5);
    });

    test("hidden states after the final norm within 2e-5", async () => {
      const { hidden } = await forward(tiny.graph(), tiny.batch("nopad"), realTokens("nopad"));
      const wanted = tiny.truth.tensor(`nopad/hidden_${tiny.config.numLayers}`).data;
      expect(largestDifference(hidden, wanted)).toBeLessThan(2e-5);
    });

    test.each(["nopad", "pad", "nopad2"] as const)(
      "%s: the loss of every token and their mean",
      async (name) => {
        const executable = await engine.compile(evaluationProgram(tiny.graph(), { maxLength }));
        const batch = tiny.batch(name);
        const inputs = batchInputs(batch, batch.targetTokens);
        const { loss, rowLoss } = await executable.run(inputs);
        await executable.close();
        const { hf_mean_over_valid_tokens: mean, valid_targets: count } = tiny.expected.loss[name];
        expect(batch.targetTokens).toBe(count);
        expect(Math.abs(loss!.data[0]! - mean)).toBeLessThan(2e-6);
        // The fixture has no losses by token for the third batch.
        if (name === "nopad2") return;
        const nll = tiny.truth.tensor(`${name}/nll`).data;
        const wanted = Array.from(
          inputs.rows!.data,
          (place) => nll[place - Math.floor(place / 20)]!,
        );
        expect(largestDifference(rowLoss!.data, wanted)).toBeLessThan(2e-5);
      },
    );

    test.each([
      ["qv", "nopad"],
      ["qv", "pad"],
      ["all", "nopad"],
    ] as const)("with LoRA on %s, %s: logits within 2e-5", async (which, name) => {
      const adapter = tiny.adapter(which);
      const parameters = views(adapter.parameters.slots, adapter.parameters.values);
      const rows = realTokens(name);
      const { logits } = await forward(tiny.graph(adapter), tiny.batch(name), rows, { parameters });
      const wanted = rowsOf(tiny.lora(which).tensor(`${name}/logits`).data, rows);
      expect(largestDifference(logits, wanted)).toBeLessThan(2e-5);
    });
  });

  describe.each([false, true])("gradients, recompute %s", (recompute) => {
    test("of every weight, norms included, within 1e-5", async () => {
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
        adapt: () => undefined,
        trainable,
      };
      const { loss, gradients } = await gradientOf(model, parameters, tiny.batch("pad"), recompute);
      expect(Math.abs(loss - tiny.expected.loss.pad.hf_mean_over_valid_tokens)).toBeLessThan(2e-6);
      const wanted = tiny.fullGradients();
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
      const wanted = tiny.lora(which);
      const facts = tiny.expected.lora[which];
      expect(Math.abs(loss - facts[`loss_${name}`])).toBeLessThan(2e-6);
      expect(adapter.parameters.values.length).toBe(facts.trainable);
      for (const [variable, { data }] of Object.entries(gradients)) {
        const truth = wanted.tensor(`${name}/grad/${fixtureName(variable)}`).data;
        expect(relativeError(data, truth), variable).toBeLessThan(1e-5);
      }
      const norm = globalNorm(adapter.parameters.gradients);
      expect(Math.abs(norm / facts[`grad_norm_${name}`] - 1)).toBeLessThan(1e-5);
    });
  });

  describe.each([
    { key: "torch_eps1e-8", epsilon: 1e-8, epsilonPlacement: "torch" },
    { key: "keras_eps1e-7", epsilon: 1e-7, epsilonPlacement: "keras" },
  ] as const)("three steps of AdamW, $key", ({ key, epsilon, epsilonPlacement }) => {
    test.each(["qv", "all"] as const)("on %s: parameters within 1e-5", async (which) => {
      const adapter = tiny.adapter(which);
      const executable = await engine.compile(
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
        source: { stepsIn: () => 3, batches: (_epoch, index) => [tiny.batch(order[index]!)] },
        totalSteps: 3,
        objective: { kind: "mean" },
        onStep: ({ loss }) => {
          losses.push(loss);
        },
      });
      await executable.close();
      const before = tiny.expected.lora[which].train[key].losses_before_each_step;
      expect(largestDifference(losses, before)).toBeLessThan(1e-5);
      const wanted = tiny.lora(which);
      for (const [name, { data }] of Object.entries(views(slots, adapter.parameters.values))) {
        const truth = wanted.tensor(`${key}/${fixtureName(name)}`).data;
        expect(relativeError(data, truth), name).toBeLessThan(1e-5);
      }
    });
  });

  describe("greedy generation gives the tokens of Transformers", () => {
    async function generate(prompts: number[][], newTokens: number, which?: AdapterName) {
      const adapter = which && tiny.adapter(which);
      const program = await engine.compile(generationProgram(tiny.graph(adapter), { maxLength }));
      const { numLayers, numKeyValueHeads, headDim, vocabularySize } = tiny.config;
      const parameters = adapter ? views(adapter.parameters.slots, adapter.parameters.values) : {};
      const longest = Math.max(...prompts.map((prompt) => prompt.length));
      const added: number[][] = prompts.map(() => []);
      const decoder = { program, parameters, numLayers, numKeyValueHeads, headDim, vocabularySize };
      for await (const ids of generateTokens(decoder, prompts, {
        maxLength: longest + newTokens,
        sampler: greedy(),
        stopIds: [],
      })) {
        ids.forEach((id, row) => {
          if (id !== undefined) added[row]!.push(id);
        });
      }
      await program.close();
      return added;
    }

    test.each([
      ["base", undefined],
      ["base_long_prompt", undefined],
      ["lora_qv", "qv"],
      ["lora_all", "all"],
    ] as const)("%s", async (key, which) => {
      const { prompt, new_tokens: wanted } = tiny.expected.generate[key];
      expect(await generate([prompt], wanted.length, which)).toEqual([wanted]);
    });

    // Only Gemma 1, the family without a name in its configuration, has no window.
    if (tiny.config.family !== undefined) {
      test("a prompt that the window does not hold", () => {
        const { prompt } = tiny.expected.generate.base_long_prompt;
        expect(prompt.length).toBeGreaterThan(tiny.config.slidingWindow!.length);
      });
    }

    test("prompts of different lengths in one batch, padded on the left", async () => {
      const { prompts, mask, new_tokens: wanted } = tiny.expected.generate.base_left_padded_batch;
      const real = prompts.map((ids: number[], row: number) =>
        ids.filter((_, i) => mask[row][i] === 1),
      );
      const added = await generate(real, wanted[1].length);
      expect(added[1]).toEqual(wanted[1]);
      // Facet counts a row's own tokens: the shorter prompt may get more.
      expect(added[0]!.slice(0, wanted[0].length)).toEqual(wanted[0]);
    });
  });
}
