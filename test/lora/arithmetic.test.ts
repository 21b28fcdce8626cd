import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { linearCombination, type Term, weightedSum } from "../../src/lora/arithmetic.js";
import { largestDifference } from "../support/closeness.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";

const size = fc.integer({ min: 1, max: 7 });
const weight = fc.double({ min: -2, max: 2, noNaN: true });

describe("a weighted sum", () => {
  test("has the weighted sum of the updates, at the sum of the ranks", () => {
    const term = fc.record({ rank: size, weight, scale: fc.constantFrom(0.5, 1, 2), seed: size });
    fc.assert(
      fc.property(size, size, fc.array(term, { minLength: 1, maxLength: 4 }), (i, o, terms) => {
        const loras = terms.map(({ rank, scale, seed }) =>
          loraMatrices({ rank, inFeatures: i, outFeatures: o, scale }, seed),
        );
        const sum = weightedSum(
          terms.map(({ weight }, n) => ({
            ...{ name: `${n}`, weight, matrices: new Map([["x", loras[n]!]]) },
          })),
        ).get("x")!;
        expect(sum.rank).toBe(terms.reduce((total, { rank }) => total + rank, 0));
        const wanted = new Float64Array(i * o);
        loras.forEach((lora, n) => {
          updateOf(lora).forEach((value, place) => {
            wanted[place]! += terms[n]!.weight * value;
          });
        });
        expect(largestDifference(updateOf(sum), wanted)).toBeLessThan(1e-5);
      }),
    );
  });

  test("has the modules of every term", () => {
    const lora = loraMatrices({ rank: 2, inFeatures: 3, outFeatures: 4 });
    const sum = weightedSum([
      { name: "one", weight: 2, matrices: new Map([["x", lora]]) },
      { name: "two", weight: 1, matrices: new Map([["y", lora]]) },
    ]);
    expect([...sum.keys()]).toEqual(["x", "y"]);
    expect(updateOf(sum.get("x")!)).toEqual(updateOf(lora).map((value) => 2 * value));
    expect(sum.get("y")).toEqual(lora);
  });
});

const terms = (...changes: object[]): Term[] =>
  changes.map((change, i) => ({
    name: `adapter ${i}`,
    weight: 1,
    matrices: new Map([
      ["x", { ...loraMatrices({ rank: 2, inFeatures: 3, outFeatures: 4 }, i), ...change }],
    ]),
  }));

describe("a linear combination", () => {
  test("sums A and B by the roots of weight · scale, the sign in A, as PEFT does", () => {
    const [one, other] = terms({ scale: 2 }, {}) as [Term, Term];
    const made = linearCombination([
      { ...one, weight: 2 },
      { ...other, weight: -0.25 },
    ]).get("x")!;
    const [p, q] = [one.matrices.get("x")!, other.matrices.get("x")!];
    const a = p.a.map((value, i) => 2 * value - 0.5 * q.a[i]!);
    const b = p.b.map((value, i) => 2 * value + 0.5 * q.b[i]!);
    expect(largestDifference(made.a, a)).toBeLessThan(1e-6);
    expect(largestDifference(made.b, b)).toBeLessThan(1e-6);
    expect(made).toMatchObject({ rank: 2, scale: 1 });
  });

  test("of one adapter is that adapter, scaled", () => {
    const [one] = terms({ scale: 2 }) as [Term];
    const made = linearCombination([{ ...one, weight: 0.7 }]).get("x")!;
    const wanted = updateOf(one.matrices.get("x")!).map((value) => 0.7 * value);
    expect(largestDifference(updateOf(made), wanted)).toBeLessThan(1e-6);
  });

  test("needs one rank", () => {
    const [one] = terms({}) as [Term];
    const wide = loraMatrices({ rank: 3, inFeatures: 3, outFeatures: 4 });
    const other = { name: "wide", weight: 1, matrices: new Map([["x", wide]]) };
    expect(() => linearCombination([one, other])).toThrow(
      "x has rank 2 in adapter 0 and 3 in wide; a linear combination needs one rank.",
    );
  });
});

describe.each([
  ["weightedSum", weightedSum],
  ["linearCombination", linearCombination],
])("%s refuses", (_, combine) => {
  test("adapters for different models", () => {
    const [one] = terms({}) as [Term];
    const wide = loraMatrices({ rank: 2, inFeatures: 5, outFeatures: 4 });
    const other = { name: "other", weight: 1, matrices: new Map([["x", wide]]) };
    expect(() => combine([one, other])).toThrow(
      new FacetError("x is 4 × 3 in adapter 0 and 4 × 5 in other: they are for different models."),
    );
  });

  test("DoRA, saying what to do", () => {
    const dora = terms({ magnitude: new Float32Array(4) });
    expect(() => combine(dora)).toThrow(/adapter 0 is a DoRA adapter.*--to merged.*--from-model/);
  });
});
