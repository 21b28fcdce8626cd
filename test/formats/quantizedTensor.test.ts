import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ggmlTypes } from "../../src/formats/gguf/tensorTypes.js";
import { quantize, quantizedTensor, repack } from "../../src/formats/quantizedTensor.js";
import { dequantized, inMemory, joined } from "../support/quantized.js";

const shape = [3, 64] as const;
const matrices = fc.float32Array({
  ...{ minLength: 192, maxLength: 192, noNaN: true },
  ...{ min: -1000, max: 1000 },
});
const blocks = (values: Float32Array) =>
  Array.from({ length: values.length / 32 }, (_, i) => values.subarray(32 * i, 32 * i + 32));
const largest = (block: Float32Array) => Math.max(...block.map(Math.abs));

describe("a quantised matrix", () => {
  test.each([
    [8, 1 / 254],
    // The value opposite to the largest one can only be 7 / 8 of it.
    [4, 1 / 8],
  ] as const)(
    "in %d bits is off by at most that share of its block's largest value: %d",
    (bits, share) => {
      fc.assert(
        fc.property(matrices, (values) => {
          const bytes = joined(quantize(inMemory(shape, values), bits, "it"));
          const back = blocks(dequantized(bytes, shape, bits));
          blocks(values).forEach((block, i) => {
            // Scales below float32's normal numbers are rounded themselves.
            const bound = largest(block) * (share + 1e-6) + 1e-43;
            block.forEach((value, j) => {
              expect(Math.abs(back[i]![j]! - value)).toBeLessThanOrEqual(bound);
            });
          });
        }),
      );
    },
  );

  test("holds multiples of a scale exactly", () => {
    const values = Float32Array.from({ length: 192 }, (_, i) => ((i % 16) - 8) / 4);
    const bytes = joined(quantize(inMemory(shape, values), 4, "it"));
    expect(dequantized(bytes, shape, 4)).toEqual(values);
  });

  test("of zeros is zeros", () => {
    for (const bits of [8, 4] as const) {
      const bytes = joined(quantize(inMemory(shape, new Float32Array(192)), bits, "it"));
      expect(dequantized(bytes, shape, bits).every((value) => Math.abs(value) === 0)).toBe(true);
    }
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "is refused for the value %d, with the tensor's name",
    (value) => {
      const values = new Float32Array(192);
      values[100] = value;
      for (const bits of [8, 4] as const) {
        expect(() => joined(quantize(inMemory(shape, values), bits, 'tensor "w"'))).toThrow(
          'tensor "w" has values that are not finite numbers.',
        );
      }
    },
  );

  test.each([
    ["Q8_0", 8],
    ["Q4_0", 4],
  ] as const)("made of GGML's %s blocks stands for the same values", (type, bits) => {
    fc.assert(
      fc.property(matrices, (values) => {
        const stored = Uint8Array.from(ggmlTypes[type].encode(values));
        const wanted = new Float32Array(192);
        ggmlTypes[type].decode(stored, wanted);
        const half = stored.length / 2;
        const read = () => [stored.subarray(0, half), stored.subarray(half)];
        const bytes = joined(repack({ type, read }, shape));
        expect(dequantized(bytes, shape, bits).map((x) => x + 0)).toEqual(wanted.map((x) => x + 0));
      }),
    );
  });

  test("is told from a tensor of other bytes by its length", () => {
    const info = { name: "w", dtype: "U8", shape: [], file: "/f", offset: 8 } as const;
    const numbers = { file: "/f", offset: 8, byteLength: 96 };
    expect(quantizedTensor({ ...info, byteLength: 96 + 24 }, shape)).toEqual({
      ...{ bits: 4, shape, byteLength: 120 },
      ...{ values: numbers, scales: { file: "/f", offset: 104, byteLength: 24 } },
    });
    expect(quantizedTensor({ ...info, byteLength: 192 + 24 }, shape)?.bits).toBe(8);
    expect(quantizedTensor({ ...info, byteLength: 192 }, shape)).toBeUndefined();
  });
});
