import { describe, expect, it } from "vitest";
import { duration } from "../../src/cli/output.js";
import { progressLine, tenths } from "../../src/cli/progress.js";

const state = {
  done: 30,
  total: 120,
  details: ["loss 3.214", "1:05 left", "acc 43.0 %", "1,234 tok/s"],
};

describe("progressLine", () => {
  it("has a bar and everything else in a wide terminal", () => {
    const line = progressLine("Training", state, 100);
    expect(line).toBe(
      `Training ${"█".repeat(6)}${"░".repeat(18)} 30/120  loss 3.214  1:05 left  acc 43.0 %  1,234 tok/s`,
    );
  });

  it.each([40, 60, 80])("fits into %d columns and keeps step, loss and time left", (width) => {
    const line = progressLine("Training", state, width);
    expect(line.length).toBeLessThan(width);
    expect(line).toContain("30/120  loss 3.214  1:05 left");
  });
});

describe("tenths", () => {
  it("picks the first state, one in every tenth, and the last", () => {
    const due = tenths();
    const picked = Array.from({ length: 40 }, (_, i) => i + 1).filter((done) =>
      due({ done, total: 40 }),
    );
    expect(picked).toEqual([1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40]);
  });
});

describe("duration", () => {
  it("is as short as it can be", () => {
    expect([4.4, 65, 7260].map(duration)).toEqual(["4s", "1:05", "2:01:00"]);
  });
});
