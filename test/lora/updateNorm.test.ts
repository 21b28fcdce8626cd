import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { weightedSum } from "../../src/lora/arithmetic.js";
import { toPeft } from "../../src/lora/peft.js";
import { changesNothing, updateNorm } from "../../src/lora/updateNorm.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";
import * as tiny from "../support/tinyGemma.js";

const size = fc.integer({ min: 1, max: 9 });
const frobenius = (values: Float64Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

test("the norm of an update is that of scale · B A", () => {
  fc.assert(
    fc.property(size, size, size, fc.nat(99), (rank, inFeatures, outFeatures, seed) => {
      const lora = loraMatrices({ rank, inFeatures, outFeatures, scale: -1.5 }, seed);
      const wanted = frobenius(updateOf(lora));
      expect(Math.abs(updateNorm(lora) - wanted)).toBeLessThan(1e-9 + 1e-7 * wanted);
    }),
  );
});

describe("an adapter changes nothing", () => {
  const { matrices } = toPeft(tiny.adapter("qv"));
  const all = (change: (b: Float32Array) => Float32Array) =>
    new Map([...matrices].map(([path, lora]) => [path, { ...lora, b: change(lora.b) }]));

  test("when all of B is zero, or its terms cancel", () => {
    expect(changesNothing(all((b) => new Float32Array(b.length)))).toBe(true);
    const cancelled = weightedSum([
      { name: "a", matrices, weight: 0.3 },
      { name: "b", matrices, weight: -0.3 },
    ]);
    expect(changesNothing(cancelled)).toBe(true);
  });

  test("and does not when one value is left, however small", () => {
    expect(changesNothing(matrices)).toBe(false);
    const one = all((b) => b.map((_, i) => (i === 0 ? 1e-30 : 0)));
    expect(changesNothing(one)).toBe(false);
  });

  test("but for DoRA nobody knows without the base model", () => {
    const magnitude = new Float32Array(64).fill(1);
    const zero = { ...matrices.get("model.layers.0.self_attn.q_proj")!, magnitude };
    expect(changesNothing(new Map([["x", { ...zero, scale: 0 }]]))).toBe(false);
  });
});
