import fc from "fast-check";
import { expect, test } from "vitest";
import { weightedSum } from "../../src/lora/arithmetic.js";
import { updateNorm } from "../../src/lora/updateNorm.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";

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

test("the norm of an update whose terms cancel is 0, and of one with any value left is not", () => {
  const lora = loraMatrices({ rank: 4, inFeatures: 50, outFeatures: 30 });
  const matrices = new Map([["x", lora]]);
  const cancelled = weightedSum([
    { name: "a", matrices, weight: 0.3 },
    { name: "b", matrices, weight: -0.3 },
  ]);
  expect(updateNorm(cancelled.get("x")!)).toBe(0);
  expect(updateNorm({ ...lora, b: new Float32Array(lora.b.length) })).toBe(0);
  expect(updateNorm({ ...lora, b: lora.b.map((_, i) => (i === 0 ? 1e-30 : 0)) })).toBeGreaterThan(
    0,
  );
});
