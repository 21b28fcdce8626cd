import { expect } from "vitest";
import { createRandom } from "../../../src/random.js";
import type { Optimizer } from "../../../src/training/optimizers/optimizer.js";
import { relativeError } from "../../support/closeness.js";

/** A stack of matrices, a matrix and a vector, as an optimizer sees them. */
export const slots = [
  { name: "stack", shape: [2, 3, 4], offset: 0, length: 24 },
  { name: "matrix", shape: [5, 3], offset: 24, length: 15 },
  { name: "bias", shape: [6], offset: 39, length: 6 },
];
const size = 45;

const numbers = (seed: number, scale: number) => {
  const random = createRandom({ seed, stream: "init" });
  return Array.from({ length: size }, () => Math.fround((random.uniform() - 0.5) * scale));
};

/** A reference's update of one variable, all in float64: its value after another gradient. */
export type Reference = (
  shape: readonly number[],
) => (p: readonly number[], g: readonly number[], step: number) => number[];

/**
 * Lets an optimizer and a reference take the same steps from the same place, and expects the same
 * parameters but for the rounding to float32 after every step.
 */
export function expectTrajectory(
  optimizer: Optimizer,
  learningRate: number,
  reference: Reference,
  steps = 6,
): void {
  const values = Float32Array.from(numbers(1, 2));
  const references = slots.map(({ shape }) => reference(shape));
  let exact = slots.map(({ offset, length }) => [...values.slice(offset, offset + length)]);
  for (let step = 1; step <= steps; step++) {
    const gradient = numbers(step + 1, 0.7 / step);
    optimizer.update(values, Float32Array.from(gradient), learningRate);
    exact = exact.map((p, i) => {
      const { offset, length } = slots[i]!;
      return references[i]!(p, gradient.slice(offset, offset + length), step);
    });
  }
  expect(optimizer.step).toBe(steps);
  expect(relativeError(values, exact.flat())).toBeLessThan(1e-6);
}
