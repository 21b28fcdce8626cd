import { describe, expect, test } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { withAverage } from "../../../src/training/optimizers/average.js";
import { sgd } from "../../../src/training/optimizers/sgd.js";

const slots = [
  { name: "a", shape: [2], offset: 0, length: 2 },
  { name: "b", shape: [1], offset: 2, length: 1 },
];

describe("the average of parameters", () => {
  test("begins with the first step, and then moves by 1 − decay", () => {
    const optimizer = withAverage(sgd(slots), slots, 0.75);
    const values = Float32Array.of(1, 2, 3);
    const seen: number[][] = [];
    for (let step = 0; step < 3; step++) {
      optimizer.update(values, Float32Array.of(1, -1, 0.5), 0.5);
      seen.push([...values]);
    }
    const average = new Float32Array(3);
    optimizer.copyAverage(average);
    const exact = [0, 1, 2].map(
      (i) => 0.75 * (0.75 * seen[0]![i]! + 0.25 * seen[1]![i]!) + 0.25 * seen[2]![i]!,
    );
    expect([...average]).toEqual(exact);
    expect(optimizer.step).toBe(3);
  });

  test("leaves the steps themselves as they are", () => {
    const [plain, averaged] = [Float32Array.of(1, 2, 3), Float32Array.of(1, 2, 3)];
    const gradient = Float32Array.of(1, 2, 3);
    sgd(slots).update(plain, gradient, 0.1);
    withAverage(sgd(slots), slots, 0.9).update(averaged, gradient, 0.1);
    expect(averaged).toEqual(plain);
  });

  test("is part of the state, beside the optimizer's", () => {
    const { state } = withAverage(sgd(slots, { momentum: 0.5 }), slots, 0.9);
    expect([...state.keys()]).toEqual(["velocity/a", "velocity/b", "average/a", "average/b"]);
  });

  test("refuses a decay of 1", () => {
    expect(() => withAverage(sgd(slots), slots, 1)).toThrow(FacetError);
  });
});
