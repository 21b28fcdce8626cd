import { describe, expect, it } from "vitest";
import { lengthHistogram, lengthStatistics } from "../../src/data/lengths.js";

describe("lengthStatistics", () => {
  it("takes the mean of the middle two for an even count", () => {
    expect(lengthStatistics([10, 2, 4, 100])).toEqual({
      count: 4,
      total: 116,
      min: 2,
      mean: 29,
      median: 7,
      p95: 100,
      max: 100,
    });
    expect(lengthStatistics([9, 1, 5]).median).toBe(5);
    expect(lengthStatistics(Array.from({ length: 40 }, (_, i) => i + 1)).p95).toBe(38);
  });
});

describe("lengthHistogram", () => {
  it("counts each length in one bucket, borders included", () => {
    expect(lengthHistogram([1, 16, 17, 32, 33, 100])).toEqual([
      { from: 1, to: 16, count: 2 },
      { from: 17, to: 32, count: 2 },
      { from: 33, to: 64, count: 1 },
      { from: 65, to: 128, count: 1 },
    ]);
  });
});
