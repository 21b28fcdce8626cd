import { float16ToFloat32, float32ToFloat16 } from "../dtypes.js";
import type { GgmlType } from "./tensorTypes.js";

/**
 * GGML's types of quantised blocks (ggml-common.h for the layouts, ggml-quants.c for the arithmetic). A block of a
 * simple type has 32 values; one of a K type has 256, in parts with scales of their own. Decoding gives the float32 that
 * ggml gives; encoding gives the bytes that gguf-py gives (gguf-py/gguf/quants.py).
 */

const half = new Uint16Array(1);
const single = new Float32Array(1);

function halfAt(bytes: Uint8Array, at: number): number {
  half[0] = bytes[at]! | (bytes[at + 1]! << 8);
  return float16ToFloat32(half, single)[0]!;
}

function putHalf(bytes: Uint8Array, at: number, value: number): void {
  single[0] = value;
  const code = float32ToFloat16(single)[0]!;
  bytes[at] = code & 0xff;
  bytes[at + 1] = code >>> 8;
}

/** Calls `block` for each block with where its bytes and its values begin. */
function eachBlock(
  { length }: Float32Array,
  elements: number,
  size: number,
  block: (at: number, value: number) => void,
): void {
  for (let i = 0; i < length / elements; i++) block(i * size, i * elements);
}

const signed = (byte: number) => (byte << 24) >> 24;

/** 32 values in 4 or 5 bits: d · q, from the scale at the block's start, and an offset that follows it or is `zero`. */
function decodeNibbles(
  size: number,
  { zero, fifthBits }: { zero: number | undefined; fifthBits: boolean },
): GgmlType["decode"] {
  const bitsAt = zero === undefined ? 4 : 2;
  const quantsAt = bitsAt + (fifthBits ? 4 : 0);
  return (bytes, to) =>
    eachBlock(to, 32, size, (at, value) => {
      const d = halfAt(bytes, at);
      const minimum = zero === undefined ? halfAt(bytes, at + 2) : 0;
      const bit = (i: number) =>
        fifthBits ? ((bytes[at + bitsAt + (i >> 3)]! >> (i & 7)) & 1) << 4 : 0;
      for (let j = 0; j < 16; j++) {
        const byte = bytes[at + quantsAt + j]!;
        to[value + j] = (((byte & 15) | bit(j)) - (zero ?? 0)) * d + minimum;
        to[value + j + 16] = (((byte >> 4) | bit(j + 16)) - (zero ?? 0)) * d + minimum;
      }
    });
}

/** Scale and minimum of part `part` of a Q4_K or Q5_K block, 6 bits each, packed into 12 bytes from `at` on. */
function partScale(bytes: Uint8Array, at: number, part: number): [scale: number, minimum: number] {
  const byte = (i: number) => bytes[at + i]!;
  if (part < 4) return [byte(part) & 63, byte(part + 4) & 63];
  return [
    (byte(part + 4) & 15) | ((byte(part - 4) >> 6) << 4),
    (byte(part + 4) >> 4) | ((byte(part) >> 6) << 4),
  ];
}

/** 256 values in 8 parts of 32: scale · q − minimum. `fifthBits` is where the block's highest bits are, if it has any. */
function decodeParts(size: number, quantsAt: number, fifthBits?: number): GgmlType["decode"] {
  return (bytes, to) =>
    eachBlock(to, 256, size, (at, value) => {
      const [d, dMinimum] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
      for (let part = 0; part < 8; part++) {
        const [scale, minimum] = partScale(bytes, at + 4, part);
        const [step, below] = [d * scale, dMinimum * minimum];
        const from = at + quantsAt + 32 * (part >> 1);
        const shift = 4 * (part & 1);
        for (let i = 0; i < 32; i++) {
          const high = fifthBits === undefined ? 0 : (bytes[at + fifthBits + i]! >> part) & 1;
          const q = ((bytes[from + i]! >> shift) & 15) | (high << 4);
          to[value + 32 * part + i] = step * q - below;
        }
      }
    });
}

/** 256 values of 6 bits in 16 parts of 16: scale · (q − 32). */
const decodeQ6K: GgmlType["decode"] = (bytes, to) =>
  eachBlock(to, 256, 210, (at, value) => {
    const d = halfAt(bytes, at + 208);
    for (let i = 0; i < 256; i++) {
      const [group, within] = [i >> 7, i & 127];
      const low = bytes[at + 64 * group + (within & 63)]! >> (within < 64 ? 0 : 4);
      const high = bytes[at + 128 + 32 * group + (within & 31)]! >> (2 * (within >> 5));
      const scale = signed(bytes[at + 192 + (i >> 4)]!);
      to[value + i] = d * scale * (((low & 15) | ((high & 3) << 4)) - 32);
    }
  });

const decodeQ8: GgmlType["decode"] = (bytes, to) =>
  eachBlock(to, 32, 34, (at, value) => {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) to[value + i] = signed(bytes[at + 2 + i]!) * d;
  });

function encodeQ8(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / 32) * 34);
  eachBlock(values, 32, 34, (at, value) => {
    let largest = 0;
    for (let i = 0; i < 32; i++) largest = Math.max(largest, Math.abs(values[value + i]!));
    const d = Math.fround(largest / 127);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    putHalf(bytes, at, d);
    for (let i = 0; i < 32; i++) {
      const x = Math.fround(values[value + i]! * inverse);
      // Halves away from zero.
      bytes[at + 2 + i] = Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
    }
  });
  return bytes;
}

function encodeQ4(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / 32) * 18);
  eachBlock(values, 32, 18, (at, value) => {
    let extreme = 0;
    for (let i = 0; i < 32; i++) {
      if (Math.abs(values[value + i]!) > Math.abs(extreme)) extreme = values[value + i]!;
    }
    const d = Math.fround(extreme / -8);
    const inverse = d === 0 ? 0 : Math.fround(1 / d);
    putHalf(bytes, at, d);
    const q = (i: number) => Math.min(15, Math.trunc(values[value + i]! * inverse + 8.5));
    for (let i = 0; i < 16; i++) bytes[at + 2 + i] = q(i) | (q(i + 16) << 4);
  });
  return bytes;
}

const simple = { elements: 32, dtype: "F32" } as const;
const k = { elements: 256, dtype: "F32" } as const;

export const quantizedTypes = {
  Q4_0: {
    ...simple,
    code: 2,
    bytes: 18,
    decode: decodeNibbles(18, { zero: 8, fifthBits: false }),
    encode: encodeQ4,
  },
  Q4_1: {
    ...simple,
    code: 3,
    bytes: 20,
    decode: decodeNibbles(20, { zero: undefined, fifthBits: false }),
  },
  Q5_0: { ...simple, code: 6, bytes: 22, decode: decodeNibbles(22, { zero: 16, fifthBits: true }) },
  Q5_1: {
    ...simple,
    code: 7,
    bytes: 24,
    decode: decodeNibbles(24, { zero: undefined, fifthBits: true }),
  },
  Q8_0: { ...simple, code: 8, bytes: 34, decode: decodeQ8, encode: encodeQ8 },
  Q4_K: { ...k, code: 12, bytes: 144, decode: decodeParts(144, 16) },
  Q5_K: { ...k, code: 13, bytes: 176, decode: decodeParts(176, 48, 16) },
  Q6_K: { ...k, code: 14, bytes: 210, decode: decodeQ6K },
} as const satisfies Record<string, GgmlType>;
