import type { Random } from "../../src/random.js";
import { happens, pick } from "./chance.js";
import { type Field, fieldsOf } from "./fields.js";

/** Changes bytes in a few places: where the format has a number, and anywhere. */
export function mutateBytes(
  bytes: Uint8Array,
  path: string,
  other: Uint8Array,
  random: Random,
): Uint8Array {
  const fields = fieldsOf(bytes, path);
  let result = Uint8Array.from(bytes);
  const times = 1 + random.below(happens(random, 4) ? 8 : 2);
  for (let i = 0; i < times; i++) {
    if (fields.length > 0 && random.below(10) < 6) setField(result, pick(random, fields), random);
    else result = mutateOnce(result, other, random);
  }
  return result;
}

function mutateOnce(bytes: Uint8Array<ArrayBuffer>, other: Uint8Array, random: Random) {
  const { length } = bytes;
  if (length === 0) return Uint8Array.from(other);
  const at = random.below(length);
  const run = 1 + random.below(Math.min(length - at, happens(random, 3) ? 64 : 4));
  switch (random.below(9)) {
    case 0:
    case 1:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 2:
      bytes[at] = pick(random, [0, 1, 2, 7, 0x7f, 0x80, 0xc0, 0xff, random.below(256)]);
      return bytes;
    case 3:
      for (let i = 0; i < run; i++) bytes[at + i] = random.below(256);
      return bytes;
    case 4:
      return bytes.slice(0, at);
    case 5:
      return joined(bytes.subarray(0, at), bytes.subarray(at + run));
    case 6:
      return joined(bytes.subarray(0, at + run), bytes.subarray(at));
    case 7: {
      const from = random.below(Math.max(1, other.length));
      const part = other.subarray(from, from + 1 + random.below(256));
      return joined(
        bytes.subarray(0, at),
        part,
        bytes.subarray(happens(random, 2) ? at : Math.min(length, at + part.length)),
      );
    }
    default:
      return joined(bytes, new Uint8Array(run).fill(pick(random, [0, 0x20, 0xff])));
  }
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Where numbers go over an edge. */
const EDGES = [
  ...[0n, 1n, 2n, 3n, 4n, 7n, 8n, 9n, 16n, 31n, 32n, 64n, 127n, 128n, 255n, 256n, 1024n, 65535n],
  ...[
    65536n,
    (1n << 20n) - 1n,
    1n << 24n,
    (1n << 31n) - 1n,
    1n << 31n,
    (1n << 32n) - 1n,
    1n << 32n,
  ],
  ...[(1n << 53n) - 1n, 1n << 53n, (1n << 61n) + 1n, (1n << 62n) + 1n, (1n << 63n) - 1n, 1n << 63n],
  ...[(1n << 64n) - 1n, (1n << 64n) - 8n],
];

/** Gives a little-endian number of the format another value. */
function setField(bytes: Uint8Array, { at, size }: Field, random: Random): void {
  if (at + size > bytes.length) return;
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  const total = BigInt(bytes.length);
  const changed = pick(random, [
    ...[pick(random, EDGES), pick(random, EDGES), value + 1n, value - 1n, value * 2n, value / 2n],
    ...[total, total - 1n, total + 1n, total - BigInt(at), value + 8n, value - 8n, value + 32n],
    ...[BigInt(random.below(64)), BigInt(random.below(bytes.length)), value + total],
  ]);
  let rest = BigInt.asUintN(8 * size, changed);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[at + i] = Number(rest & 0xffn);
}
