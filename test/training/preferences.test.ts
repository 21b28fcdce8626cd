import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePairBatch } from "../../src/data/pairBatches.js";
import type { Executable } from "../../src/engines/engine.js";
import { views } from "../../src/engines/parameters.js";
import { preferenceProgram } from "../../src/models/gemma/preferencePrograms.js";
import { evaluationProgram } from "../../src/models/gemma/programs.js";
import { computeGradient } from "../../src/training/gradient.js";
import { pairSource, preferenceObjective, scorePairs } from "../../src/training/preferences.js";
import { relativeError } from "../support/closeness.js";
import { tinyExamples } from "../support/tinyExamples.js";
import * as tiny from "../support/tinyGemma.js";

const [a, b, c, d, e, f] = tinyExamples();
const pairs = { chosen: [a!, b!, e!], rejected: [c!, d!, f!] };
const adapter = tiny.adapter("qv");
const { parameters } = adapter;
const order = { batchSize: 2, padId: 0, seed: 5, shuffle: true };

describe("a source of pairs", () => {
  test("visits every pair once an epoch, its chosen answer before its rejected one", () => {
    const source = pairSource(pairs, order);
    expect(source.stepsIn(0)).toBe(2);
    const batches = [0, 1].flatMap((index) => source.batches(0, index));
    expect(batches.flatMap(({ rows }) => rows).sort()).toEqual([0, 1, 2]);
    for (const { rows, ids, size, length } of batches) {
      expect(size).toBe(2 * rows.length);
      const answers = [
        ...rows.map((row) => pairs.chosen[row]!),
        ...rows.map((row) => pairs.rejected[row]!),
      ];
      answers.forEach((answer, i) => {
        const inputs = answer.ids.length - 1;
        expect(ids.slice(i * length, i * length + inputs)).toEqual(answer.ids.slice(0, -1));
      });
    }
  });

  test("splits a step's pairs into micro-batches", () => {
    const source = pairSource(pairs, { ...order, batchSize: 3, microBatchSize: 2 });
    expect(source.batches(0, 0).map(({ size }) => size)).toEqual([4, 2]);
  });
});

describe("a step's gradient", () => {
  let program: Executable;
  beforeAll(async () => {
    const step = preferenceProgram(
      tiny.graph(adapter),
      { maxLength: 32, recompute: false },
      { kind: "orpo", beta: 1 },
    );
    program = await tiny.engine.compile(step);
  });
  afterAll(() => program.close());

  test("does not depend on how its pairs are split into micro-batches", async () => {
    const objective = preferenceObjective({ kind: "orpo" });
    const gradientOf = async (...parts: number[][]) => {
      const batches = parts.map((part) => makePairBatch(pairs, part, 0));
      const result = await computeGradient(program, parameters, batches, objective);
      return { ...result, gradients: parameters.gradients.slice() };
    };
    const whole = await gradientOf([0, 1, 2]);
    const split = await gradientOf([2], [1, 0]);
    expect(relativeError(split.gradients, whole.gradients)).toBeLessThan(5e-6);
    expect(split.loss / whole.loss).toBeCloseTo(1, 6);
    expect(split).toMatchObject({ counted: 3, correct: whole.correct });
    expect(split.measures.margin).toBeCloseTo(whole.measures.margin!, 5);
  });
});

test("scorePairs gives the log-probability of each answer that is asked for", async () => {
  const program = await tiny.engine.compile(
    evaluationProgram(tiny.graph(adapter), { maxLength: 32 }),
  );
  const values = views(parameters.slots, parameters.values);
  const scores = await scorePairs(program, values, pairs, { indices: [2, 0], padId: 0 });
  const alone = { chosen: [e!], rejected: [f!] };
  const one = await scorePairs(program, values, alone, { indices: [0], padId: 0 });
  await program.close();
  expect(scores.chosen[2]! / one.chosen[0]!).toBeCloseTo(1, 6);
  expect(scores.rejected[2]! / one.rejected[0]!).toBeCloseTo(1, 6);
  expect(scores.chosen[0]).toBeLessThan(0);
  expect([scores.chosen[1], scores.rejected[1]]).toEqual([Number.NaN, Number.NaN]);
});
