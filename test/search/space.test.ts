import { describe, expect, it } from "vitest";
import { createRandom } from "../../src/random.js";
import { type Dimension, draw, grid } from "../../src/search/space.js";

const range = (min: number, max: number, more: object = {}) =>
  ({
    ...{ min, max, scale: "linear", whole: false, count: undefined, ...more },
  }) as Dimension;
const space = (dimensions: Record<string, Dimension>) => new Map(Object.entries(dimensions));

describe("grid", () => {
  it("has every combination once, the last option changing fastest", () => {
    const points = grid(space({ a: { values: [1, 2] }, b: { values: ["x", ["y"], true] } }));
    expect(points).toEqual([
      ...[
        { a: 1, b: "x" },
        { a: 1, b: ["y"] },
        { a: 1, b: true },
      ],
      ...[
        { a: 2, b: "x" },
        { a: 2, b: ["y"] },
        { a: 2, b: true },
      ],
    ]);
  });

  it.each([
    [range(0, 1, { count: 5 }), [0, 0.25, 0.5, 0.75, 1]],
    [range(1e-5, 1e-2, { count: 4, scale: "log" }), [1e-5, 1e-4, 1e-3, 1e-2]],
    [range(2, 16, { count: 4, scale: "log", whole: true }), [2, 4, 8, 16]],
    [range(1, 3, { count: 9, whole: true }), [1, 2, 3]],
    [range(3, 9, { count: 1 }), [3]],
  ])("takes values of %j at equal distances on its scale", (dimension, expected) => {
    expect(grid(space({ a: dimension })).map(({ a }) => a)).toEqual(expected);
  });

  it("refuses a range that does not say how many values to take", () => {
    expect(() => grid(space({ rank: range(1, 2) }))).toThrow(
      'how many values of rank to take. Add "count"',
    );
  });
});

describe("draw", () => {
  const drawn = (dimension: Dimension, count = 4000) => {
    const random = createRandom({ seed: 3, stream: "sweep" });
    return Array.from({ length: count }, () => draw(space({ a: dimension }), random).a as number);
  };
  const share = (values: readonly number[], holds: (value: number) => boolean) =>
    values.filter(holds).length / values.length;

  it("takes each place on the scale with equal chance", () => {
    const linear = drawn(range(10, 20));
    expect(share(linear, (value) => value < 12.5)).toBeCloseTo(0.25, 1);
    const log = drawn(range(1e-5, 1e-1, { scale: "log" }));
    expect(share(log, (value) => value < 1e-4)).toBeCloseTo(0.25, 1);
    expect(Math.min(...log)).toBeGreaterThanOrEqual(1e-5);
    expect(Math.max(...log)).toBeLessThanOrEqual(1e-1);
  });

  it("takes each whole number with equal chance, both ends too", () => {
    const values = drawn(range(1, 4, { whole: true }));
    for (const value of [1, 2, 3, 4]) {
      expect(share(values, (each) => each === value)).toBeCloseTo(0.25, 1);
    }
  });

  it("takes values of a list", () => {
    const values = drawn({ values: [1, 2, 4] });
    expect(share(values, (value) => value === 4)).toBeCloseTo(1 / 3, 1);
    expect(new Set(values)).toEqual(new Set([1, 2, 4]));
  });
});
