import { describe, expect, test } from "vitest";
import { compareLogits, type PromptLogits } from "../../src/recipes/proof.js";

const logits = (vocabularySize: number, ...values: number[][]): PromptLogits => ({
  values: values.map((row) => Float32Array.from(row)),
  vocabularySize,
});

// Two prompts, of two positions and one; their standard deviation is 1.
const live = logits(2, [-1, 1, -1, 1], [1, -1]);

describe("a proof", () => {
  test("holds for the same logits, with nothing allowed", () => {
    const proof = {
      largestDifference: 0,
      relativeError: 0,
      tolerance: 0,
      positions: 3,
      holds: true,
    };
    expect(compareLogits(live, live, 0)).toEqual(proof);
  });

  test("measures errors by the spread of the live logits, and names the largest", () => {
    const written = logits(2, [-1, 1.5, -1, 1], [1, -1.25]);
    const { largestDifference, relativeError } = compareLogits(live, written, 1);
    expect(largestDifference).toBe(0.5);
    expect(relativeError).toBeCloseTo(Math.sqrt((0.25 + 0.0625) / 6), 12);
    expect(compareLogits(live, written, relativeError * 1.001).holds).toBe(true);
    expect(compareLogits(live, written, relativeError * 0.999).holds).toBe(false);
  });

  test("compares the tokens that both have", () => {
    expect(compareLogits(live, logits(3, [-1, 1, 9, -1, 1, 9], [1, -1, 9]), 0).holds).toBe(true);
  });

  test("does not hold where a logit is not a number", () => {
    expect(compareLogits(live, logits(2, [Number.NaN, 1, -1, 1], [1, -1]), 1e9).holds).toBe(false);
  });
});
