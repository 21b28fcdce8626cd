import { describe, expect, it } from "vitest";
import {
  type Column,
  columnsOf,
  differences,
  estimates,
  quantile,
} from "../../src/evaluation/bootstrap.js";
import { loss } from "../../src/evaluation/loss.js";
import { tokenMetrics } from "../../src/evaluation/metrics.js";
import { verdictOf } from "../../src/evaluation/verdict.js";

const tokens = [5, 2, 12, 4, 6, 3, 9, 4, 7, 1, 11, 3];
const losses = [12.5, 3.25, 30, 8, 17.75, 5.5, 22, 9.25, 14, 2.5, 40.5, 6];
const others = [12, 3.5, 28, 8.25, 15, 5, 21, 9.5, 12, 2.75, 37, 5.75];
const rows = (of: readonly number[]) =>
  of.map((sum, i) => ({ loss: sum, correct: 1, tokens: tokens[i]! }));
const options = { resamples: 100_000, confidence: 0.95, seed: 1 };

/** A column in which every row counts the same. */
const means = (values: readonly number[]): Column => ({
  metric: loss,
  parts: values.map((sum) => ({ sum, weight: 1 })),
});

describe("estimates", () => {
  it("gives scipy.stats.bootstrap's percentile interval of a ratio of sums", () => {
    // SciPy 1.17.1, method "percentile", paired, 400,000 resamples.
    const [low, high] = [2.172727, 2.958955];
    const [estimate] = estimates(columnsOf([loss], rows(losses)), options);
    expect(estimate!.value).toBeCloseTo(171.25 / 67, 12);
    expect(estimate!.interval![0]).toBeCloseTo(low, 2);
    expect(estimate!.interval![1]).toBeCloseTo(high, 2);
  });

  it("gives the quantiles of all possible draws, where these can be counted", () => {
    const values = [1, 2, 4];
    const all = values.flatMap((a) => values.flatMap((b) => values.map((c) => (a + b + c) / 3)));
    const exact = Float64Array.from(all).sort();
    const [estimate] = estimates([means(values)], { ...options, confidence: 0.8 });
    expect(estimate!.interval![0]).toBeCloseTo(quantile(exact, 0.1), 12);
    expect(estimate!.interval![1]).toBeCloseTo(quantile(exact, 0.9), 12);
  });

  it("takes the perplexity's interval from the loss's, and the same draws for all metrics", () => {
    const [ofLoss, ofPerplexity] = estimates(columnsOf(tokenMetrics, rows(losses)), options);
    expect(ofPerplexity!.interval![0]).toBeCloseTo(Math.exp(ofLoss!.interval![0]), 3);
    expect(ofPerplexity!.interval![1]).toBeCloseTo(Math.exp(ofLoss!.interval![1]), 3);
  });

  it("depends on the seed alone", () => {
    const columns = columnsOf([loss], rows(losses));
    const few = { ...options, resamples: 50 };
    expect(estimates(columns, few)).toEqual(estimates(columns, few));
    expect(estimates(columns, few)).not.toEqual(estimates(columns, { ...few, seed: 2 }));
  });

  it("has no interval for one row", () => {
    expect(estimates([means([3])], options)).toEqual([{ value: 3, interval: undefined }]);
  });
});

describe("differences", () => {
  it("gives scipy.stats.bootstrap's percentile interval of paired differences", () => {
    const [low, high] = [-0.254098, -0.070755];
    const [before, after] = [losses, others].map((of) => columnsOf([loss], rows(of)));
    const [difference] = differences(before!, after!, options);
    expect(difference!.value).toBeCloseTo(-11.5 / 67, 12);
    expect(difference!.interval![0]).toBeCloseTo(low, 2);
    expect(difference!.interval![1]).toBeCloseTo(high, 2);
  });

  it("is sure of a small change that every row shows, however much rows differ", () => {
    const values = Array.from({ length: 30 }, (_, i) => i * i);
    const [difference] = differences(
      [means(values)],
      [means(values.map((v) => v + 0.5 + (v % 2) / 10))],
      options,
    );
    expect(difference!.interval![0]).toBeGreaterThan(0.5);
    expect(difference!.interval![1]).toBeLessThan(0.6);
  });
});

describe("quantile", () => {
  it.each([
    [0, 1],
    [0.1, 1],
    [0.5, 3.5],
    [0.975, 8.475],
    [1, 9],
  ])("gives numpy.quantile's value at %d", (share, expected) => {
    expect(quantile(Float64Array.from([1, 1, 2, 3, 4, 5, 6, 9]), share)).toBeCloseTo(expected, 12);
  });

  it("takes infinite values", () => {
    expect(quantile(Float64Array.from([1, Infinity, Infinity]), 0.75)).toBe(Infinity);
  });
});

describe("verdictOf", () => {
  const of = (low: number, high: number) => ({
    value: (low + high) / 2,
    interval: [low, high] as const,
  });
  it.each([
    [of(0.1, 0.3), "lower", "worse"],
    [of(0.1, 0.3), "higher", "better"],
    [of(-0.3, -0.1), "lower", "better"],
    [of(-0.3, -0.1), "higher", "worse"],
    [of(-0.1, 0.3), "higher", "unclear"],
    [of(0, 0.3), "higher", "unclear"],
    [of(0, 0), "higher", "same"],
    [of(Number.NaN, Number.NaN), "higher", "unclear"],
    [of(0.1, 0.3), undefined, "neutral"],
    [{ value: 1, interval: undefined }, "lower", "unclear"],
  ] as const)("of %j where %s is better: %s", (difference, better, verdict) => {
    expect(verdictOf({ ...loss, better }, difference)).toBe(verdict);
  });
});
