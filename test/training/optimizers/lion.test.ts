import { describe, expect, test } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { lion } from "../../../src/training/optimizers/lion.js";
import { expectTrajectory, slots } from "./trajectory.js";

describe("Lion", () => {
  test.each([
    { beta1: 0.9, beta2: 0.99, weightDecay: 0 },
    { beta1: 0.5, beta2: 0.8, weightDecay: 0.3 },
  ])("is algorithm 2 of Chen et al. 2023 (arXiv:2302.06675): %o", (options) => {
    const { beta1, beta2, weightDecay } = options;
    const rate = 0.01;
    expectTrajectory(lion(slots, options), rate, () => {
      let m: number[] | undefined;
      return (p, g) => {
        const c = g.map((gi, i) => beta1 * (m?.[i] ?? 0) + (1 - beta1) * gi);
        m = g.map((gi, i) => beta2 * (m?.[i] ?? 0) + (1 - beta2) * gi);
        return p.map((x, i) => x - rate * (Math.sign(c[i]!) + weightDecay * x));
      };
    });
  });

  test("refuses betas that cannot be", () => {
    expect(() => lion(slots, { beta2: 1 })).toThrow("Lion's beta2 must be at least 0 and below 1");
    expect(() => lion(slots, { beta1: Number.NaN })).toThrow(FacetError);
  });
});
