import { describe, expect, test } from "vitest";
import { input, program } from "../../src/graph/index.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { withNoise } from "../../src/nn/embeddingNoise.js";
import { trainingInputs } from "../../src/runtime/trainingInputs.js";
import { evaluateProgram } from "../graph/referenceEngine.js";
import * as tiny from "../support/tinyGemma.js";

const x = input("x", [100, 64]);
const noise = { seed: input("noiseSeed", [], "int32"), size: input("noiseSize", []) };
const scalar = (value: number) => ({ data: Float64Array.of(value), shape: [] });

function noised(seed: number, size: number): Float64Array {
  const zeros = { data: new Float64Array(6400).fill(3), shape: [100, 64] };
  const p = program({ y: withNoise(x, noise) });
  const inputs = { x: zeros, noiseSeed: scalar(seed), noiseSize: scalar(size) };
  return evaluateProgram(p, inputs).y!.data.map((value) => value - 3) as Float64Array;
}

describe("NEFTune's noise", () => {
  test("is uniform between plus and minus its size", () => {
    const y = noised(7, 0.25);
    const mean = y.reduce((a, b) => a + b, 0) / y.length;
    const square = y.reduce((a, b) => a + b * b, 0) / y.length;
    expect(Math.max(...y)).toBeLessThanOrEqual(0.25);
    expect(Math.min(...y)).toBeGreaterThanOrEqual(-0.25);
    expect(Math.abs(mean)).toBeLessThan(0.01);
    expect(square / (0.25 ** 2 / 3)).toBeCloseTo(1, 1);
    expect(noised(8, 0.25)).not.toEqual(y);
  });

  // Jain et al. 2023 (arXiv:2310.05914), algorithm 1: α / √(L d), of the batch's length.
  test("has the size of the paper, and other numbers for every step and micro-batch", () => {
    const config = { rank: 1, alpha: 1, targets: ["q_proj"], layout: "standard" } as const;
    const adapter = createAdapter(config, tiny.modules, 0);
    const inputs = trainingInputs(adapter, 3, { alpha: 5, hiddenSize: 64 });
    const size = (length: number) => inputs(0, 0, { length }).noiseSize!.data[0]!;
    expect(size(16)).toBe(Math.fround(5 / Math.sqrt(16 * 64)));
    expect(size(100)).toBe(Math.fround(5 / 80));
    const seeds = [
      [0, 0],
      [0, 1],
      [1, 0],
    ].map(([step, micro]) => inputs(step!, micro!, { length: 8 }).noiseSeed!.data[0]);
    expect(new Set(seeds).size).toBe(3);
    expect(inputs(1, 0, { length: 8 }).noiseSeed!.data[0]).toBe(seeds[2]);
    expect(Object.keys(trainingInputs(adapter, 3)(0, 0, { length: 8 }))).toEqual([]);
  });

  test("is in the training program that asks for it, and in no other", () => {
    const adapter = tiny.adapter("qv");
    const plain = trainingProgram(tiny.graph(adapter), { maxLength: 16, recompute: false });
    const noisy = trainingProgram(
      { ...tiny.graph(adapter), noise },
      { maxLength: 16, recompute: false },
    );
    expect(plain.inputs.has("noiseSeed")).toBe(false);
    expect(noisy.inputs.has("noiseSeed")).toBe(true);
  });
});
