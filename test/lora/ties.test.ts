import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openProducts } from "../../src/lora/denseProducts.js";
import { disjointMean, ties, trim } from "../../src/lora/ties.js";
import { largestDifference } from "../support/closeness.js";
import { collected } from "../support/collected.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";
import { engine } from "../support/tinyGemma.js";

describe("TIES", () => {
  test("trims all but the largest values", () => {
    const values = Float32Array.of(0.1, -4, 3, -0.2, 2, 1);
    trim(values, 0.5);
    expect([...values]).toEqual([0, -4, 3, 0, 2, 0]);
    const many = fc.float32Array({ minLength: 1, maxLength: 50, noNaN: true });
    fc.assert(
      fc.property(many, fc.double({ min: 0, max: 1, noNaN: true }), (given, density) => {
        const sorted = [...given].map(Math.abs).sort((a, b) => b - a);
        const least = sorted[Math.floor(density * given.length) - 1] ?? Number.POSITIVE_INFINITY;
        const trimmed = given.slice();
        trim(trimmed, density);
        if (density * given.length < 1) expect(trimmed.every((value) => value === 0)).toBe(true);
        else expect(trimmed).toEqual(given.map((value) => (Math.abs(value) < least ? 0 : value)));
      }),
    );
  });

  test("averages the values of the elected sign: figure 1 of the paper, in numbers", () => {
    const merged = disjointMean([
      Float32Array.of(3, -1, 0, 2, 0, 4),
      Float32Array.of(1, 2, -2, -2, 0, -5),
      Float32Array.of(0, 4, -4, 1, 0, -1),
    ]);
    expect([...merged]).toEqual([2, 3, -3, 1.5, 0, -3]);
  });

  test("is done on the updates, whatever the factors that give them", async () => {
    const products = await openProducts(engine);
    const one = loraMatrices({ rank: 2, inFeatures: 6, outFeatures: 5, scale: 2 });
    const two = loraMatrices({ rank: 3, inFeatures: 6, outFeatures: 5 }, 3);
    // The same update as `two` from other factors: those of the rank components negated.
    const twin = { ...two, a: two.a.map((x) => -x), b: two.b.map((x) => -x) };
    const merge = async (other: typeof two) => {
      const terms = [
        { name: "one", weight: 0.5, matrices: new Map([["x", one]]) },
        { name: "other", weight: 1, matrices: new Map([["x", other]]) },
      ];
      const [module] = await collected(ties(terms, { density: 0.4, rank: 5 }, products));
      return module!;
    };
    const updates = [updateOf(one).map((x) => 0.5 * x), updateOf(two)].map((update) => {
      const values = Float32Array.from(update);
      trim(values, 0.4);
      return values;
    });
    for (const other of [two, twin]) {
      const { path, reduced } = await merge(other);
      expect(path).toBe("x");
      expect(reduced.lora.rank).toBe(5);
      expect(largestDifference(updateOf(reduced.lora), disjointMean(updates))).toBeLessThan(1e-5);
      expect(reduced.kept / reduced.total).toBeCloseTo(1, 6);
    }
    await products.close();
  });

  test("of one adapter, untrimmed, is that adapter", async () => {
    const products = await openProducts(engine);
    const one = loraMatrices({ rank: 2, inFeatures: 30, outFeatures: 20 });
    const terms = [{ name: "one", weight: 1, matrices: new Map([["x", one]]) }];
    const [module] = await collected(ties(terms, { density: 1, rank: 2 }, products));
    expect(largestDifference(updateOf(module!.reduced.lora), updateOf(one))).toBeLessThan(1e-5);
    await products.close();
  });
});
