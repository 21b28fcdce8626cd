import { describe, expect, test } from "vitest";
import { bestOf, isDue, isExhausted } from "../../src/training/validations.js";

const losses = (...values: number[]) => values.map((loss, i) => ({ step: i + 1, loss }));

test("the best validations are those of the lowest losses, the earlier of equal ones first", () => {
  const all = losses(3, 1, 2, 1, 5);
  expect(bestOf(all, 3).map(({ step }) => step)).toEqual([2, 4, 3]);
  expect(bestOf(all, 0)).toEqual([]);
});

describe("patience", () => {
  test.each([
    [losses(3, 2, 1), 1, 0, false],
    [losses(3, 2, 2), 1, 0, true],
    [losses(3, 2, 2.5, 2.4), 2, 0, true],
    [losses(3, 2, 2.5, 1.9, 2), 2, 0, false],
    // Many small improvements add up to one.
    [losses(3, 2.95, 2.85, 2.8), 3, 0.1, false],
    [losses(3, 2.95, 2.91), 2, 0.1, true],
    [[], 1, 0, false],
  ])("of %j with patience %i and min delta %f: %s", (all, patience, minDelta, expected) => {
    expect(isExhausted(all, { patience, minDelta })).toBe(expected);
  });
});

describe("a validation is due", () => {
  const dueSteps = (every: Parameters<typeof isDue>[0], stepsInEpoch: number, total: number) =>
    Array.from({ length: total }, (_, i) => i + 1).filter((step) =>
      isDue(every, { step, before: (step - 1) / stepsInEpoch, after: step / stepsInEpoch }),
    );

  test.each([
    [{ steps: 3 }, 10, [3, 6, 9, 12]],
    [{ epochs: 1 }, 5, [5, 10]],
    [{ epochs: 0.5 }, 5, [3, 5, 8, 10]],
    [{ epochs: 1 / 3 }, 6, [2, 4, 6, 8, 10, 12]],
    [{ epochs: 2 }, 3, [6, 12]],
    [{ epochs: 0.01 }, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
    [{}, 10, []],
  ])("%j in epochs of %i steps", (every, stepsInEpoch, expected) => {
    expect(dueSteps(every, stepsInEpoch, 12)).toEqual(expected);
  });
});
