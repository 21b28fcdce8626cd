import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { adamW } from "../../../src/training/optimizers/adamW.js";
import { relativeError } from "../../support/closeness.js";

const slots = [
  { name: "kernel", shape: [2, 2], offset: 0, length: 4 },
  { name: "bias", shape: [2], offset: 4, length: 2 },
];

interface Settings {
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly decay: number;
}

/** PyTorch's AdamW (torch/optim/adamw.py), one parameter at a time, in float64. */
function torchAdamW(start: number, gradients: readonly number[], s: Settings): number {
  let [p, m, v] = [start, 0, 0];
  gradients.forEach((g, i) => {
    const t = i + 1;
    p -= s.rate * s.decay * p;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    const corrected = Math.sqrt(v / (1 - s.beta2 ** t));
    p -= (s.rate * (m / (1 - s.beta1 ** t))) / (corrected + s.epsilon);
  });
  return p;
}

/** Keras's AdamW (keras/src/optimizers/adam.py): epsilon beside the uncorrected root. */
function kerasAdamW(start: number, gradients: readonly number[], s: Settings): number {
  let [p, m, v] = [start, 0, 0];
  gradients.forEach((g, i) => {
    const t = i + 1;
    p -= p * s.decay * s.rate;
    const alpha = (s.rate * Math.sqrt(1 - s.beta2 ** t)) / (1 - s.beta1 ** t);
    m += (g - m) * (1 - s.beta1);
    v += (g * g - v) * (1 - s.beta2);
    p -= (m * alpha) / (Math.sqrt(v) + s.epsilon);
  });
  return p;
}

const formulas = { torch: torchAdamW, keras: kerasAdamW };
const number = fc.float({ min: -2, max: 2, noNaN: true });
const six = fc.array(number, { minLength: 6, maxLength: 6 });
const settings: fc.Arbitrary<Settings> = fc.record({
  rate: fc.constantFrom(1e-3, 0.1),
  beta1: fc.constantFrom(0, 0.5, 0.9),
  beta2: fc.constantFrom(0.9, 0.999),
  epsilon: fc.constantFrom(1e-8, 1e-7, 1e-2),
  decay: fc.constantFrom(0, 0.01, 0.5),
});

describe("AdamW", () => {
  test.each(["torch", "keras"] as const)(
    "with epsilon where %s has it is the formula",
    (epsilonPlacement) => {
      const steps = fc.array(six, { minLength: 1, maxLength: 8 });
      fc.assert(
        fc.property(six, steps, settings, (start, gradients, s) => {
          const { rate, decay, ...rest } = s;
          const optimizer = adamW(slots, { ...rest, weightDecay: decay, epsilonPlacement });
          const values = Float32Array.from(start);
          for (const gradient of gradients)
            optimizer.update(values, Float32Array.from(gradient), rate);
          const exact = start.map((p, i) =>
            formulas[epsilonPlacement](
              p,
              gradients.map((gradient) => gradient[i]!),
              s,
            ),
          );
          expect(optimizer.step).toBe(gradients.length);
          // Parameters and moments are stored in float32 after every step.
          expect(relativeError([...values, 1], [...exact, 1])).toBeLessThan(
            1e-6 * gradients.length,
          );
        }),
      );
    },
  );

  test("has Keras's defaults", () => {
    const [mine, theirs] = [Float32Array.of(1, 1, 1, 1, 1, 1), 1];
    const optimizer = adamW(slots);
    const gradient = new Float32Array(6).fill(1e-6);
    optimizer.update(mine, gradient, 1e-3);
    const s = { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, decay: 0.004 };
    expect(mine[0]).toBeCloseTo(kerasAdamW(theirs, [1e-6], s), 7);
    expect(mine[0]).not.toBeCloseTo(torchAdamW(theirs, [1e-6], s), 5);
  });

  test("decays only the variables that are to decay", () => {
    const decays = (name: string) => name !== "bias";
    const values = new Float32Array(6).fill(1);
    adamW(slots, { weightDecay: 0.5, decays }).update(values, new Float32Array(6), 0.1);
    expect([...values]).toEqual([...new Array(4).fill(Math.fround(0.95)), 1, 1]);
  });

  test("keeps its moments where a checkpoint finds them, and goes on from them", () => {
    const gradient = (step: number) =>
      Float32Array.from({ length: 6 }, (_, i) => Math.sin(step + i));
    const [straight, broken] = [new Float32Array(6), new Float32Array(6)];
    const whole = adamW(slots);
    for (let step = 0; step < 5; step++) whole.update(straight, gradient(step), 0.1);
    let part = adamW(slots);
    for (let step = 0; step < 5; step++) {
      const next = adamW(slots);
      next.step = part.step;
      for (const [name, { data }] of part.state) next.state.get(name)!.data.set(data);
      part = next;
      part.update(broken, gradient(step), 0.1);
    }
    expect(broken).toEqual(straight);
    expect([...whole.state.keys()]).toEqual(["m/kernel", "v/kernel", "m/bias", "v/bias"]);
  });

  test.each([
    ["beta1", { beta1: 1 }],
    ["beta2", { beta2: -0.1 }],
    ["epsilon", { epsilon: Number.NaN }],
    ["weight decay", { weightDecay: -1 }],
  ])("a %s that cannot be is refused", (what, options) => {
    expect(() => adamW(slots, options)).toThrow(`AdamW's ${what} must be at least 0`);
    expect(() => adamW(slots, options)).toThrow(FacetError);
  });
});
