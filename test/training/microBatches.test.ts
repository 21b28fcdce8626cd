import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batch, makeBatch } from "../../src/data/batches.js";
import type { Executable } from "../../src/engines/engine.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import {
  batchInputs,
  computeGradient,
  globalNorm,
  type LossReduction,
  partNorms,
} from "../../src/training/gradient.js";
import { relativeError } from "../support/closeness.js";
import { tinyExamples } from "../support/tinyExamples.js";
import * as tiny from "../support/tinyGemma.js";

const examples = tinyExamples();
const adapter = tiny.adapter("qv");
const { parameters } = adapter;
let program: Executable;

beforeAll(async () => {
  const step = trainingProgram(tiny.graph(adapter), { maxLength: 32, recompute: false });
  program = await tiny.engine.compile(step);
});
afterAll(() => program.close());

async function gradientOf(batches: readonly Batch[], reduction: LossReduction) {
  const result = await computeGradient(program, parameters, batches, reduction);
  return { ...result, gradients: parameters.gradients.slice() };
}

/** The examples of one step, in any order, cut into micro-batches anywhere. */
const splits = fc
  .tuple(
    fc.shuffledSubarray([...examples.keys()], { minLength: 1 }),
    fc.array(fc.boolean(), { minLength: examples.length, maxLength: examples.length }),
  )
  .map(([order, cuts]) => {
    const parts: number[][] = [[]];
    order.forEach((index, i) => {
      parts.at(-1)!.push(index);
      if (cuts[i] && i + 1 < order.length) parts.push([]);
    });
    return { order, parts };
  });

describe("a step's gradient", () => {
  test.each([[{ kind: "mean" }], [{ kind: "keras", sequenceLength: 32 }]] as const)(
    "does not depend on how its rows are split into micro-batches: %j",
    async (reduction) => {
      await fc.assert(
        fc.asyncProperty(splits, async ({ order, parts }) => {
          const whole = await gradientOf([makeBatch(examples, order, 0)], reduction);
          const split = await gradientOf(
            parts.map((p) => makeBatch(examples, p, 0)),
            reduction,
          );
          expect(relativeError(split.gradients, whole.gradients)).toBeLessThan(5e-6);
          expect(Math.abs(split.loss / whole.loss - 1)).toBeLessThan(1e-6);
          expect(split.targetTokens).toBe(whole.targetTokens);
          expect(split.rows).toBe(order.length);
          expect(split.correct).toBeCloseTo(whole.correct, 4);
        }),
        { numRuns: 12, seed: 3 },
      );
    },
  );

  test("is the mean over target tokens, or over rows × sequence length", async () => {
    const batch = makeBatch(examples, [0, 3, 5], 0);
    const mean = await gradientOf([batch], { kind: "mean" });
    const keras = await gradientOf([batch], { kind: "keras", sequenceLength: 50 });
    expect(mean.loss).toBeCloseTo(mean.lossSum / batch.targetTokens, 12);
    expect(Math.abs(keras.lossSum / mean.lossSum - 1)).toBeLessThan(1e-6);
    expect(keras.loss).toBeCloseTo(keras.lossSum / 150, 12);
    const ratio = batch.targetTokens / 150;
    const scaled = mean.gradients.map((g) => g * ratio);
    expect(relativeError(keras.gradients, scaled)).toBeLessThan(1e-6);
  });

  test("does not depend on padding: wider batches give the same numbers", async () => {
    const batch = makeBatch(examples, [0, 1], 0);
    const wide = widened(batch, 5);
    const [one, two] = [
      await gradientOf([batch], { kind: "mean" }),
      await gradientOf([wide], { kind: "mean" }),
    ];
    expect(Math.abs(two.loss / one.loss - 1)).toBeLessThan(1e-6);
    expect(relativeError(two.gradients, one.gradients)).toBeLessThan(2e-6);
  });

  test("a micro-batch whose targets are all masked adds nothing", async () => {
    const batch = makeBatch(examples, [2, 4], 0);
    const masked: Batch = { ...batch, weights: batch.weights.map(() => 0), targetTokens: 0 };
    const alone = await gradientOf([batch], { kind: "mean" });
    for (const order of [
      [batch, masked],
      [masked, batch],
    ]) {
      const both = await gradientOf(order, { kind: "mean" });
      expect(both.gradients).toEqual(alone.gradients);
      expect(both.loss).toBe(alone.loss);
    }
  });
});

/** The batch with more columns of padding. */
function widened(batch: Batch, by: number): Batch {
  const length = batch.length + by;
  const spread = <T extends Int32Array | Float32Array>(from: T, to: T): T => {
    for (let row = 0; row < batch.size; row++) {
      to.set(from.subarray(row * batch.length, (row + 1) * batch.length), row * length);
    }
    return to;
  };
  const count = batch.size * length;
  return {
    ...batch,
    ids: spread(batch.ids, new Int32Array(count)),
    targets: spread(batch.targets, new Int32Array(count)),
    weights: spread(batch.weights, new Float32Array(count)),
    length,
  };
}

test("batchInputs gives the places that have a target, what it is, and its share", () => {
  const batch: Batch = {
    ids: Int32Array.of(2, 5, 6, 2, 7, 0),
    targets: Int32Array.of(5, 6, 1, 7, 1, 0),
    weights: Float32Array.of(0, 1, 1, 0, 1, 0),
    size: 2,
    length: 3,
    targetTokens: 3,
    rows: [0, 1],
  };
  const inputs = batchInputs(batch, 4);
  expect([...inputs.rows!.data]).toEqual([1, 2, 4]);
  expect([...inputs.targets!.data]).toEqual([6, 1, 1]);
  expect([...inputs.weights!.data]).toEqual([0.25, 0.25, 0.25]);
  expect([...inputs.positions!.data]).toEqual([0, 1, 2, 0, 1, 2]);
  expect(inputs.ids).toEqual({ data: batch.ids, shape: [2, 3] });
});

test("partNorms are the lengths of each layer's part, and of each module outside the layers", () => {
  const names = [
    "model.embed_tokens.weight",
    "model.layers.0.a",
    "model.layers.12.b",
    "model.layers.0.c",
    "model.norm.weight",
  ];
  const slots = names.map((name, i) => ({ name, shape: [2], offset: 2 * i, length: 2 }));
  const gradients = Float32Array.of(3, 4, 1, 2, 0, 7, 4, 2, 0, 0);
  const norms = partNorms({ slots, gradients, values: gradients });
  expect(norms).toEqual({ embed_tokens: 5, layer_0: 5, layer_12: 7, norm: 0 });
  const squares = Object.values(norms).reduce((sum, norm) => sum + norm ** 2, 0);
  expect(Math.sqrt(squares)).toBeCloseTo(globalNorm(gradients), 12);
});

test("globalNorm is the Euclidean length", () => {
  expect(globalNorm(Float32Array.of(3, -4, 12))).toBe(13);
  expect(globalNorm(new Float32Array(0))).toBe(0);
});
