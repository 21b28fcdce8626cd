import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schedule, scheduleNames } from "../../src/training/schedules.js";

const rates = (name: string, options: Omit<Parameters<typeof schedule>[1], "learningRate">) => {
  const rate = schedule(name, { learningRate: 8, ...options });
  return Array.from({ length: options.totalSteps + 2 }, (_, step) => rate(step));
};

describe("a schedule", () => {
  test("constant stays", () => {
    expect(rates("constant", { totalSteps: 3 })).toEqual([8, 8, 8, 8, 8]);
  });

  test("linear falls in a straight line to 0 at the end, and stays there", () => {
    expect(rates("linear", { totalSteps: 4 })).toEqual([8, 6, 4, 2, 0, 0]);
  });

  test("cosine falls along half a wave", () => {
    const [first, quarter, half, , last] = rates("cosine", { totalSteps: 4 });
    expect([first, half]).toEqual([8, 4]);
    expect(quarter).toBeCloseTo(4 + 4 * Math.SQRT1_2, 12);
    expect(last).toBeCloseTo(0, 12);
  });

  test("polynomial falls by its power", () => {
    expect(rates("polynomial", { totalSteps: 4 })).toEqual([8, 4.5, 2, 0.5, 0, 0]);
    expect(rates("polynomial", { totalSteps: 2, schedulePower: 3 })).toEqual([8, 1, 0, 0]);
  });

  test("wsd stays, and decays as 1 − √x over the last share of all steps", () => {
    const all = rates("wsd", { totalSteps: 10, warmupSteps: 2, decayFraction: 0.4 });
    expect(all.slice(0, 7)).toEqual([4, 8, 8, 8, 8, 8, 8]);
    // Hägele et al. 2024 (arXiv:2405.18392), section 4: 1 − √((n − (N − D)) / D).
    [7, 8, 9, 10].forEach((step) => {
      expect(all[step]).toBeCloseTo(8 * (1 - Math.sqrt((step - 6) / 4)), 12);
    });
    expect(rates("wsd", { totalSteps: 10 }).slice(0, 9)).toEqual(new Array(9).fill(8));
  });

  test("wsd with a warm-up that leaves less than its decay decays from there on", () => {
    expect(rates("wsd", { totalSteps: 4, warmupSteps: 3, decayFraction: 1 })).toEqual([
      8 / 3,
      16 / 3,
      8,
      8,
      0,
      0,
    ]);
  });

  test.each([
    ["linear", { schedulePower: 2 }, 'schedulePower is for the schedule "polynomial"'],
    ["cosine", { decayFraction: 0.1 }, 'decayFraction is for the schedule "wsd"'],
  ])("%s refuses an option that it would ignore", (name, options, message) => {
    expect(() => schedule(name, { learningRate: 1, totalSteps: 1, ...options })).toThrow(message);
  });

  test("warms up in a straight line, whose last step has the full rate", () => {
    expect(rates("linear", { totalSteps: 6, warmupSteps: 4 })).toEqual([2, 4, 6, 8, 8, 4, 0, 0]);
    expect(rates("constant", { totalSteps: 3, warmupSteps: 2 })).toEqual([4, 8, 8, 8, 8]);
  });

  test("ends at the final fraction", () => {
    expect(rates("linear", { totalSteps: 2, finalFraction: 0.5 })).toEqual([8, 6, 4, 4]);
    expect(rates("cosine", { totalSteps: 2, finalFraction: 0.25 }).at(-1)).toBeCloseTo(2, 12);
  });

  test("stays between the final rate and the full one, and never rises after the warm-up", () => {
    const options = fc.record({
      totalSteps: fc.integer({ min: 1, max: 40 }),
      warmupSteps: fc.integer({ min: 0, max: 50 }),
      finalFraction: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.constantFrom(...scheduleNames), options, (name, o) => {
        const all = rates(name, o);
        const after = all.slice(o.warmupSteps);
        for (const rate of after) expect(rate).toBeGreaterThanOrEqual(8 * o.finalFraction - 1e-9);
        for (const rate of all) expect(rate).toBeLessThanOrEqual(8 + 1e-9);
        after.slice(1).forEach((rate, i) => {
          expect(rate).toBeLessThanOrEqual(after[i]! + 1e-12);
        });
      }),
    );
  });

  test("of an unknown name is refused, and the nearest named", () => {
    expect(() => schedule("cosin", { learningRate: 1, totalSteps: 1 })).toThrow(
      /Unknown schedule "cosin". Did you mean "cosine"\?/,
    );
    expect(() => schedule("toString", { learningRate: 1, totalSteps: 1 })).toThrow(
      /Unknown schedule/,
    );
  });
});
