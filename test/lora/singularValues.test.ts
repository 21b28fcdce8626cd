import fc from "fast-check";
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { reducedRank } from "../../src/lora/singularValues.js";
import { largestDifference } from "../support/closeness.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";

const size = fc.integer({ min: 1, max: 9 });

describe("reducing the rank of an update", () => {
  test("is exact at a rank that the update does not exceed, also beyond the sides of the matrix", () => {
    fc.assert(
      fc.property(size, size, size, fc.nat(99), (rank, inFeatures, outFeatures, seed) => {
        const lora = loraMatrices({ rank, inFeatures, outFeatures, scale: -2 }, seed);
        const target = Math.min(rank, inFeatures, outFeatures);
        for (const wanted of [target, target + 2]) {
          const { lora: made, kept, total } = reducedRank(lora, wanted, "here");
          expect(made).toMatchObject({ rank: wanted, scale: 1, inFeatures, outFeatures });
          expect(largestDifference(updateOf(made), updateOf(lora))).toBeLessThan(1e-5);
          expect(kept / total).toBeCloseTo(1, 9);
        }
      }),
    );
  });

  test("leaves the best approximation: the error is that of the singular values cut off", () => {
    const lora = loraMatrices({ rank: 8, inFeatures: 12, outFeatures: 10, scale: 0.5 });
    const dense = updateOf(lora);
    const { diagonal } = new SingularValueDecomposition(Matrix.from1DArray(10, 12, dense), {
      autoTranspose: true,
    });
    const squares = (values: Iterable<number>) =>
      [...values].reduce((sum, value) => sum + value * value, 0);
    for (const rank of [1, 2, 3]) {
      const { lora: made, kept, total } = reducedRank(lora, rank, "here");
      const error = squares(updateOf(made).map((value, i) => value - dense[i]!));
      expect(error).toBeCloseTo(squares(diagonal.slice(rank)), 5);
      expect(total).toBeCloseTo(squares(diagonal), 9);
      expect(kept).toBeCloseTo(squares(diagonal.slice(0, rank)), 9);
    }
  });

  test("takes factors with zero columns, which padding leaves", () => {
    const lora = loraMatrices({ rank: 4, inFeatures: 6, outFeatures: 5 });
    const a = lora.a.map((value, i) => (i >= 2 * 6 ? 0 : value));
    const b = lora.b.map((value, i) => (i % 4 >= 2 ? 0 : value));
    const padded = { ...lora, a, b };
    const { lora: made, kept, total } = reducedRank(padded, 2, "here");
    expect(largestDifference(updateOf(made), updateOf(padded))).toBeLessThan(1e-6);
    expect(kept / total).toBeCloseTo(1, 9);
  });

  test("is not for DoRA", () => {
    const lora = loraMatrices({ rank: 2, inFeatures: 3, outFeatures: 3 });
    const dora = { ...lora, magnitude: new Float32Array(3) };
    expect(() => reducedRank(dora, 1, "here")).toThrow(/here is a DoRA adapter/);
  });
});
