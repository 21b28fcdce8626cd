import { describe, expect, it } from "vitest";
import { columnsOf } from "../../src/evaluation/bootstrap.js";
import { tokenMetrics } from "../../src/evaluation/metrics.js";
import { changesOf, plainly, scoresOf } from "../../src/evaluation/scores.js";
import { shownDifference } from "../../src/evaluation/shown.js";

const options = { resamples: 500, confidence: 0.95, seed: 0 };

/** Rows of ten tokens; the loss of row i is `loss(i)`, and five tokens are right. */
const group = (loss: (row: number) => number, task?: string) => ({
  task,
  columns: columnsOf(
    tokenMetrics,
    Array.from({ length: 30 }, (_, i) => ({ loss: loss(i), correct: 5, tokens: 10 })),
  ),
});

describe("scoresOf", () => {
  it("names the metrics of a task after it", () => {
    const scores = scoresOf([group((i) => i), group((i) => i, "arc")], options);
    expect(scores.map(({ key }) => key)).toEqual([
      ...["loss", "perplexity", "accuracy"],
      ...["arc.loss", "arc.perplexity", "arc.accuracy"],
    ]);
    expect(scores[3]).toMatchObject({ label: "arc: Loss", rows: 30, value: 1.45 });
  });
});

describe("plainly", () => {
  const changes = (after: (row: number) => number) =>
    changesOf([group((i) => i)], [group(after)], options);

  it("says first what got worse, and nothing twice", () => {
    const sentences = plainly(
      changes((i) => i + 2),
      0.95,
    );
    expect(sentences).toEqual([
      "Worse: Loss rose by 0.2000 (95 % interval 0.2000 to 0.2000).",
      "The same on every row: Accuracy.",
    ]);
  });

  it("says that nothing got worse, and what got better by how much", () => {
    const [first, second] = plainly(
      changes((i) => i / 2),
      0.95,
    );
    expect(first).toBe("Nothing got worse that these rows can show.");
    expect(second).toMatch(/^Better: Loss fell by 0\.7250 \(95 % interval 0\.\d+ to 0\.\d+\)\.$/);
    const [, low, high] = /interval ([\d.]+) to ([\d.]+)/.exec(second!)!.map(Number);
    expect(low).toBeLessThan(0.725);
    expect(high).toBeGreaterThan(0.725);
  });

  it("admits what the rows cannot tell", () => {
    const sentences = plainly(
      changes((i) => i + (i % 2 === 0 ? 3 : -3)),
      0.95,
    );
    expect(sentences).toContain("Too close to tell: Loss.");
  });
});

describe("shownDifference", () => {
  const [loss, , accuracy] = tokenMetrics;
  it.each([
    [loss, -0.5, "-0.5000"],
    [loss, 0.00001, "0.0000"],
    [accuracy, 0.031, "+3.1 points"],
    [accuracy, -0.0001, "0.0 points"],
    [loss, Number.NaN, "-"],
  ] as const)("of %o and %d is %s", (metric, value, expected) => {
    expect(shownDifference(metric, value)).toBe(expected);
  });
});
