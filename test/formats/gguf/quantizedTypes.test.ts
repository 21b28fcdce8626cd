import { describe, expect, test } from "vitest";
import { float32ToFloat16 } from "../../../src/formats/dtypes.js";
import { ggmlTypes } from "../../../src/formats/gguf/tensorTypes.js";
import { createRandom } from "../../../src/random.js";
import { relativeError } from "../../support/closeness.js";

type TypeName = keyof typeof ggmlTypes;

const decode = (type: TypeName, bytes: Uint8Array) => {
  const { elements, bytes: size } = ggmlTypes[type];
  const values = new Float32Array((bytes.length / size) * elements);
  ggmlTypes[type].decode(Uint8Array.from(bytes), values);
  return values;
};

const half = (value: number): number[] => {
  const [code] = float32ToFloat16(Float32Array.of(value));
  return [code! & 255, code! >> 8];
};

const repeat = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

function normals(count: number): Float32Array {
  const random = createRandom({ seed: 7, stream: "sampling" });
  return Float32Array.from({ length: count }, () => random.uniform() + random.uniform() - 1);
}

describe("blocks of 32 values", () => {
  test("Q8_0: 127 is the largest magnitude, and halves are rounded away from zero", () => {
    const values = new Float32Array(32);
    values.set([127, -127, 0.5, -0.5, 1.49, 2.5, -2.5]);
    const bytes = ggmlTypes.Q8_0.encode(values);
    const signed = [...new Int8Array(bytes.buffer, 2, 7)];
    expect([...bytes.subarray(0, 2)]).toEqual(half(1));
    expect(signed).toEqual([127, -127, 1, -1, 1, 3, -3]);
    expect([...decode("Q8_0", bytes).subarray(0, 4)]).toEqual([127, -127, 1, -1]);
  });

  test("Q4_0: the value of largest magnitude becomes −8, and low nibbles come first", () => {
    const values = new Float32Array(32);
    values.set([-8, 7, 0.4, -0.6]);
    values[16] = 3;
    const bytes = ggmlTypes.Q4_0.encode(values);
    expect([...bytes.subarray(0, 2)]).toEqual(half(1));
    expect([...bytes.subarray(2, 6)]).toEqual([
      0 | (11 << 4),
      15 | (8 << 4),
      8 | (8 << 4),
      7 | (8 << 4),
    ]);
    expect([...decode("Q4_0", bytes)].slice(0, 4)).toEqual([-8, 7, 0, -1]);
    expect(decode("Q4_0", bytes)[16]).toBe(3);
  });

  test("zeros stay zeros", () => {
    for (const type of ["Q8_0", "Q4_0"] as const) {
      const zeros = new Float32Array(64);
      expect(decode(type, ggmlTypes[type].encode(zeros)).every((value) => value === 0)).toBe(true);
    }
  });

  test("Q4_1 and Q5_1 add the block's minimum; Q5 has a fifth bit per value", () => {
    const nibbles = repeat(16, (i) => i | ((15 - i) << 4));
    const q4 = decode("Q4_1", Uint8Array.from([...half(0.5), ...half(-3), ...nibbles]));
    expect([...q4]).toEqual(repeat(32, (i) => (i < 16 ? i : 31 - i) * 0.5 - 3));
    // The fifth bit of values 1 and 17.
    const high = [2, 0, 2, 0];
    const fifth = (i: number) => (i === 1 || i === 17 ? 16 : 0);
    const q = (i: number) => (i < 16 ? i : 31 - i) + fifth(i);
    const q51 = decode("Q5_1", Uint8Array.from([...half(0.5), ...half(-3), ...high, ...nibbles]));
    expect([...q51]).toEqual(repeat(32, (i) => q(i) * 0.5 - 3));
    const q50 = decode("Q5_0", Uint8Array.from([...half(2), ...high, ...nibbles]));
    expect([...q50]).toEqual(repeat(32, (i) => (q(i) - 16) * 2));
  });
});

describe("blocks of 256 values", () => {
  // Scale and minimum of each part, packed as in ggml's get_scale_min_k4.
  const scales = [1, 2, 3, 4, 17, 34, 51, 63];
  const minimums = [8, 7, 6, 5, 33, 20, 47, 60];
  const packed = [
    ...repeat(4, (i) => scales[i]! | ((scales[i + 4]! >> 4) << 6)),
    ...repeat(4, (i) => minimums[i]! | ((minimums[i + 4]! >> 4) << 6)),
    ...repeat(4, (i) => (scales[i + 4]! & 15) | ((minimums[i + 4]! & 15) << 4)),
  ];
  const low = (i: number) => (7 * i + (i >> 5)) & 15;
  /** 64 values share 32 bytes: the first half in the low nibbles. */
  const nibbles = repeat(128, (byte) => {
    const first = 64 * (byte >> 5) + (byte & 31);
    return low(first) | (low(first + 32) << 4);
  });

  test("Q4_K: eight parts, each with a scale and a minimum", () => {
    const bytes = Uint8Array.from([...half(0.25), ...half(0.5), ...packed, ...nibbles]);
    const expected = repeat(256, (i) => 0.25 * scales[i >> 5]! * low(i) - 0.5 * minimums[i >> 5]!);
    expect([...decode("Q4_K", bytes)]).toEqual(expected);
  });

  test("Q5_K: a fifth bit, bit p of byte i for value i of part p", () => {
    const high = (i: number) => (i % 3 === 0 ? 1 : 0);
    const bits = repeat(32, (i) =>
      repeat(8, (part) => high(32 * part + i) << part).reduce((a, b) => a | b, 0),
    );
    const bytes = Uint8Array.from([...half(0.25), ...half(0.5), ...packed, ...bits, ...nibbles]);
    const expected = repeat(
      256,
      (i) => 0.25 * scales[i >> 5]! * (low(i) + 16 * high(i)) - 0.5 * minimums[i >> 5]!,
    );
    expect([...decode("Q5_K", bytes)]).toEqual(expected);
  });

  test("Q6_K: sixteen signed scales, and values from −32 to 31", () => {
    const q = (i: number) => (11 * i + (i >> 4)) & 63;
    const scale = (part: number) => (part % 2 === 0 ? part + 1 : -part);
    const bytes = new Uint8Array(210);
    for (let i = 0; i < 256; i++) {
      // As ggml's loop: of every 128 values, four of distance 32 share two bytes of low bits and one of high bits.
      const [group, l, quarter] = [i >> 7, i & 31, (i >> 5) & 3];
      const at = 64 * group + l + (quarter % 2) * 32;
      bytes[at]! |= (q(i) & 15) << (quarter >= 2 ? 4 : 0);
      bytes[128 + 32 * group + l]! |= (q(i) >> 4) << (2 * quarter);
    }
    bytes.set(
      repeat(16, (part) => scale(part) & 255),
      192,
    );
    bytes.set(half(0.125), 208);
    expect([...decode("Q6_K", bytes)]).toEqual(
      repeat(256, (i) => 0.125 * scale(i >> 4) * (q(i) - 32)),
    );
  });
});

describe("rounding", () => {
  test.each([
    ["Q8_0", 0.006],
    ["Q4_0", 0.1],
  ] as const)("%s loses less than %f of the values' size", (type, bound) => {
    const values = normals(32 * 1000);
    const error = relativeError(decode(type, ggmlTypes[type].encode(values)), values);
    expect(error).toBeLessThan(bound);
    expect(error).toBeGreaterThan(bound / 10);
  });

  test.each(["Q8_0", "Q4_0"] as const)(
    "%s of decoded blocks gives the same values again",
    (type) => {
      const once = decode(type, ggmlTypes[type].encode(normals(32 * 100)));
      expect(relativeError(decode(type, ggmlTypes[type].encode(once)), once)).toBeLessThan(1e-3);
    },
  );
});
