import { describe, expect, test } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { sgd } from "../../../src/training/optimizers/sgd.js";
import { expectTrajectory, slots } from "./trajectory.js";

const rate = 0.05;

describe("SGD", () => {
  test("is p − lr · g, and keeps no state", () => {
    const optimizer = sgd(slots);
    expectTrajectory(optimizer, rate, () => (p, g) => p.map((x, i) => x - rate * g[i]!));
    expect(optimizer.state.size).toBe(0);
  });

  // Sutskever et al. 2013 (https://proceedings.mlr.press/v28/sutskever13.html), equations 1 and 2.
  test("with momentum is the classical one", () => {
    expectTrajectory(sgd(slots, { momentum: 0.8 }), rate, () => {
      let v: number[] | undefined;
      return (p, g) => {
        v = g.map((gi, i) => 0.8 * (v?.[i] ?? 0) - rate * gi);
        return p.map((x, i) => x + v![i]!);
      };
    });
  });

  // Equations 3 and 4 give θ' where the gradient is taken, at θ + μ v; what is stored is that place.
  test("with Nesterov's looks ahead along the velocity", () => {
    const mu = 0.8;
    expectTrajectory(sgd(slots, { momentum: mu, nesterov: true }), rate, () => {
      let v: number[] | undefined;
      return (p, g) => {
        const theta = p.map((x, i) => x - mu * (v?.[i] ?? 0));
        v = g.map((gi, i) => mu * (v?.[i] ?? 0) - rate * gi);
        return theta.map((x, i) => x + v![i]! + mu * v![i]!);
      };
    });
  });

  test("decays apart from the gradient, and only what is to decay", () => {
    const decays = (name: string) => name !== "bias";
    const optimizer = sgd(slots, { weightDecay: 0.5, decays });
    expectTrajectory(
      optimizer,
      rate,
      (shape) => (p, g) =>
        p.map((x, i) => x * (shape.length === 1 ? 1 : 1 - rate * 0.5) - rate * g[i]!),
    );
  });

  test("moves each variable at its own rate", () => {
    const rateFactor = (name: string) => (name === "matrix" ? 16 : 1);
    expectTrajectory(
      sgd(slots, { rateFactor }),
      rate,
      (shape) => (p, g) => p.map((x, i) => x - rate * (shape.length === 2 ? 16 : 1) * g[i]!),
    );
  });

  test("refuses a momentum that cannot be", () => {
    expect(() => sgd(slots, { momentum: 1 })).toThrow(
      "SGD's momentum must be at least 0 and below 1",
    );
    expect(() => sgd(slots, { momentum: 1 })).toThrow(FacetError);
  });
});
