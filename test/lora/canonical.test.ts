import { describe, expect, test } from "vitest";
import { canonical } from "../../src/lora/canonical.js";
import { largestDifference } from "../support/closeness.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";

const matrices = new Map([
  ["one", loraMatrices({ rank: 2, inFeatures: 5, outFeatures: 3, scale: 0.75 })],
  ["two", loraMatrices({ rank: 4, inFeatures: 3, outFeatures: 6 })],
]);

describe("the portable form of an adapter", () => {
  test("has one rank and scale 1, and the same updates", () => {
    const { rank, matrices: same } = canonical(matrices);
    expect(rank).toBe(4);
    expect([...same.keys()]).toEqual([...matrices.keys()]);
    for (const [name, lora] of same) {
      expect(lora).toMatchObject({ rank: 4, scale: 1 });
      const wanted = updateOf(matrices.get(name)!);
      expect(largestDifference(updateOf(lora), wanted)).toBeLessThan(1e-6);
    }
  });

  test("can have a larger rank", () => {
    const { rank, matrices: same } = canonical(matrices, 7);
    expect(rank).toBe(7);
    expect(updateOf(same.get("two")!)).toEqual(updateOf(matrices.get("two")!));
  });

  test("copies nothing that has it", () => {
    const lora = matrices.get("two")!;
    expect(canonical(new Map([["two", lora]])).matrices.get("two")).toBe(lora);
  });

  test("keeps DoRA's magnitudes", () => {
    const magnitude = Float32Array.of(1, 2, 3);
    const dora = new Map([["one", { ...matrices.get("one")!, magnitude }]]);
    expect(canonical(dora, 3).matrices.get("one")!.magnitude).toBe(magnitude);
  });
});
