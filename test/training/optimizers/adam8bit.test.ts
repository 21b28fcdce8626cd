import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../../src/random.js";
import { adam } from "../../../src/training/optimizers/adam.js";
import { adam8bit } from "../../../src/training/optimizers/adam8bit.js";
import {
  blockSize,
  dynamicValues,
  eightBitBuffer,
} from "../../../src/training/optimizers/blockwise8bit.js";
import { relativeError } from "../../support/closeness.js";

describe("the 256 values of dynamic quantization", () => {
  test.each([true, false])("ascend, hold 0 and 1, and are 256 (signed: %s)", (signed) => {
    const values = dynamicValues(signed);
    expect(values.length).toBe(256);
    expect([...new Set(values)].sort((a, b) => a - b)).toEqual([...values]);
    expect(values).toContain(0);
    expect(values[255]).toBe(1);
    // Dettmers et al. 2022: seven decades below 1; a byte's sign bit doubles what is without one.
    const top = values.filter((value) => value > 0.1 && value < 1);
    expect(top.length).toBe(signed ? 64 : 128);
    expect(Math.min(...values)).toBeCloseTo(signed ? -0.9929688 : 0, 6);
  });
});

describe("a buffer of 8-bit blocks", () => {
  const one = (length: number) => ({ name: "w", shape: [length], offset: 0, length });

  test("is within half a gap of what was written, by the block's own largest magnitude", () => {
    const values = dynamicValues(true);
    const elements = fc.array(fc.float({ noNaN: true, min: -1e3, max: 1e3 }), {
      minLength: 1,
      maxLength: blockSize,
    });
    fc.assert(
      fc.property(elements, (given) => {
        const buffer = eightBitBuffer("m", one(given.length), { signed: true });
        const exact = Float64Array.from(given);
        buffer.write(0, exact);
        const read = new Float64Array(blockSize);
        buffer.read(0, read);
        const scale = Math.max(...given.map(Math.abs));
        given.forEach((value, i) => {
          const distances = [...values].map((v) => Math.abs(v * scale - value));
          expect(Math.abs(read[i]! - value)).toBeLessThanOrEqual(
            Math.min(...distances) + 1e-6 * scale,
          );
        });
      }),
    );
  });

  test.each([true, false])("holds each of the 256 values exactly (signed: %s)", (signed) => {
    const values = dynamicValues(signed);
    const buffer = eightBitBuffer("m", one(blockSize), { signed });
    buffer.write(0, values);
    const read = new Float64Array(blockSize);
    buffer.read(0, read);
    expect([...read]).toEqual([...values]);
  });

  test("keeps a small second moment above zero under a large one", () => {
    const buffer = eightBitBuffer("v", one(2), { signed: false, keepPositive: true });
    buffer.write(0, Float64Array.of(1, 1e-12));
    const read = new Float64Array(blockSize);
    buffer.read(0, read);
    expect(read[1]).toBeGreaterThan(0);
    buffer.write(0, Float64Array.of(1, 0));
    buffer.read(0, read);
    expect(read[1]).toBe(0);
  });

  test("does not let one block's outlier coarsen another", () => {
    const buffer = eightBitBuffer("m", one(blockSize + 3), { signed: true });
    const read = new Float64Array(blockSize);
    buffer.write(0, new Float64Array(blockSize).fill(1e6));
    buffer.write(1, Float64Array.of(1e-3, 0.5e-3, -1e-4));
    buffer.read(1, read);
    expect(relativeError(read.slice(0, 3), [1e-3, 0.5e-3, -1e-4])).toBeLessThan(0.01);
  });
});

/** A noisy quadratic bowl: the gradient at p of ½ Σ cᵢ (pᵢ − goalᵢ)², with noise. */
function descend(optimizer: ReturnType<typeof adam>, size: number, steps: number) {
  const { uniform } = createRandom({ seed: 4, stream: "init" });
  const goal = Float32Array.from({ length: size }, () => uniform() - 0.5);
  const curvature = Float32Array.from({ length: size }, () => 10 ** (3 * uniform() - 2));
  const values = new Float32Array(size);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const gradient = values.map((p, i) => curvature[i]! * (p - goal[i]! + 0.1 * (uniform() - 0.5)));
    optimizer.update(values, gradient, 0.01);
    losses.push(values.reduce((sum, p, i) => sum + curvature[i]! * (p - goal[i]!) ** 2, 0) / 2);
  }
  return { values, losses };
}

describe("Adam with 8-bit moments", () => {
  const size = 1000;
  const slots = [{ name: "w", shape: [10, 100], offset: 0, length: size }];

  test("takes the first step of Adam", () => {
    const [one, other] = [adam, adam8bit].map((make) => descend(make(slots), size, 1).values);
    expect(one).toEqual(other);
  });

  test("stays within 2 % of float32 Adam's path, and within 1 % of the loss it takes away", () => {
    const exact = descend(adam(slots), size, 200);
    const small = descend(adam8bit(slots), size, 200);
    expect(relativeError(small.values, exact.values)).toBeLessThan(0.02);
    const [from, to] = [exact.losses[0]!, exact.losses.at(-1)!];
    expect(to / from).toBeLessThan(0.05);
    expect(Math.abs(small.losses.at(-1)! - to)).toBeLessThan(0.01 * (from - to));
  });

  test("keeps two bytes per element and two scales per block", () => {
    const { state } = adam8bit(slots);
    const bytes = [...state.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    expect(bytes).toBe(2 * size + 2 * 4 * Math.ceil(size / blockSize));
    expect([...state.keys()]).toEqual(["m/w", "m_scale/w", "v/w", "v_scale/w"]);
  });
});
