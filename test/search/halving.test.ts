import { describe, expect, it } from "vitest";
import { best, rungs } from "../../src/search/halving.js";

describe("rungs", () => {
  it.each([
    // Hyperband's first bracket for R = 81 and η = 3 (Li et al. 2018, table 1, s = 4).
    [
      81,
      3,
      81,
      [
        [81, 1],
        [27, 3],
        [9, 9],
        [3, 27],
        [1, 81],
      ],
    ],
    [
      8,
      2,
      80,
      [
        [8, 10],
        [4, 20],
        [2, 40],
        [1, 80],
      ],
    ],
    [
      7,
      3,
      90,
      [
        [7, 30],
        [2, 90],
      ],
    ],
    [2, 4, 10, [[2, 10]]],
    [
      27,
      3,
      4,
      [
        [27, 1],
        [9, 1],
        [3, 1],
        [1, 4],
      ],
    ],
  ])("of %d candidates, factor %d, %d steps", (candidates, factor, steps, expected) => {
    expect(rungs(candidates, factor, steps).map((rung) => [rung.candidates, rung.steps])).toEqual(
      expected,
    );
  });
});

describe("best", () => {
  it("puts the lowest first, keeps the order of ties, and takes NaN for the worst", () => {
    const scores = { a: 2, b: Number.NaN, c: 1, d: 2, e: Number.POSITIVE_INFINITY };
    const names = Object.keys(scores) as (keyof typeof scores)[];
    expect(best(names, (name) => scores[name])).toEqual(["c", "a", "d", "b", "e"]);
  });
});
