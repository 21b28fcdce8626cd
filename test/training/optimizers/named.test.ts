import { describe, expect, test } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { namedOptimizer, optimizerNames } from "../../../src/training/optimizers/named.js";
import { slots } from "./trajectory.js";

const moved = (name: (typeof optimizerNames)[number], options = {}) => {
  const values = new Float32Array(45).fill(1);
  const optimizer = namedOptimizer(name, slots, options);
  for (let step = 1; step < 4; step++)
    optimizer.update(
      values,
      Float32Array.from(values, (_, i) => Math.sin(i * step)),
      0.01,
    );
  return { values, optimizer };
};

describe.each(optimizerNames)("the optimizer %s", (name) => {
  test("is made by its name, and moves every element that has a gradient", () => {
    const { values, optimizer } = moved(name);
    expect(optimizer.name).toBe(name);
    expect([...values.subarray(1)].filter((value) => value === 1)).toEqual([]);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  test("decays where it is told to, and moves variables at their own rates", () => {
    const plain = moved(name, { weightDecay: 0 }).values;
    const decays = (variable: string) => variable === "matrix";
    const decayed = moved(name, { weightDecay: 0.5, decays }).values;
    const factored = moved(name, {
      weightDecay: 0,
      rateFactor: (variable: string) => (variable === "bias" ? 0 : 1),
    }).values;
    expect(decayed.subarray(0, 24)).toEqual(plain.subarray(0, 24));
    expect(decayed.subarray(24, 39)).not.toEqual(plain.subarray(24, 39));
    expect([...factored.subarray(39)]).toEqual(new Array(6).fill(1));
    expect(factored.subarray(0, 39)).toEqual(plain.subarray(0, 39));
  });

  const settings = { beta1: 0.5, beta2: 0.7, epsilon: 0.01, momentum: 0.6 };
  test.each(Object.entries(settings))("heeds %s or refuses it", (key, value) => {
    let changed: Float32Array;
    try {
      changed = moved(name, { [key]: value }).values;
    } catch (error) {
      expect(error).toBeInstanceOf(FacetError);
      expect((error as Error).message).toContain(`The optimizer ${name} has no use for ${key}`);
      return;
    }
    expect(changed).not.toEqual(moved(name).values);
  });
});
