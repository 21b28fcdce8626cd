/** Gives the next of some values; an Error where none is left. */
export type Next<T> = () => T;

const ended = () => new Error("a page ends before its last value");

/** `width` bits (at most 53) from bit `position` of some bytes on, the lowest bit first. */
function bitsAt(bytes: Buffer, position: number, width: number): number {
  if (position + width > 8 * bytes.length) throw ended();
  let value = 0;
  for (let got = 0; got < width; ) {
    const at = position + got;
    const here = Math.min(8 - (at & 7), width - got);
    value += ((bytes[at >> 3]! >> (at & 7)) & ((1 << here) - 1)) * 2 ** got;
    got += here;
  }
  return value;
}

/** A little-endian base-128 number, and where it ends. */
function varintAt(bytes: Buffer, at: number): [value: number, end: number] {
  let value = 0;
  for (let scale = 1; at < bytes.length && scale < 2 ** 63; scale *= 128) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 128) return [value, at];
  }
  throw ended();
}

/**
 * Integers of `width` bits in runs: one value many times, or many values side by side (RLE/bit-packing hybrid of
 * Parquet's Encodings.md). A run is never longer than what is asked for, whatever it claims.
 */
export function runs(bytes: Buffer, width: number): Next<number> {
  if (width > 32) throw new Error(`a page has values of ${width} bits`);
  let at = 0;
  let left = 0;
  let repeated: number | undefined;
  let position = 0;
  return () => {
    while (left === 0) {
      const [head, start] = varintAt(bytes, at);
      if (head % 2 === 0) {
        left = head / 2;
        at = start + Math.ceil(width / 8);
        repeated = bitsAt(bytes, 8 * start, 8 * Math.ceil(width / 8));
      } else {
        left = 8 * ((head - 1) / 2);
        at = start + (left / 8) * width;
        repeated = undefined;
        position = 8 * start;
      }
    }
    left--;
    if (repeated !== undefined) return repeated;
    position += width;
    return bitsAt(bytes, position - width, width);
  };
}

/** Byte strings one after the other, each behind its length as uint32. */
export function plainBytes(bytes: Buffer): Next<Buffer> {
  let at = 0;
  return () => {
    if (at + 4 > bytes.length) throw ended();
    const start = at + 4;
    at = start + bytes.readUInt32LE(at);
    if (at > bytes.length) throw ended();
    return bytes.subarray(start, at);
  };
}

/** Bits one after the other, the lowest of a byte first. */
export function bits(bytes: Buffer): Next<number> {
  let position = 0;
  return () => bitsAt(bytes, position++, 1);
}

/** Byte strings of one width, one after the other. */
export function fixedBytes(bytes: Buffer, width: number): Next<Buffer> {
  let at = 0;
  return () => {
    at += width;
    if (at > bytes.length) throw ended();
    return bytes.subarray(at - width, at);
  };
}

/** The same where all first bytes stand before all second ones, and so on (BYTE_STREAM_SPLIT). */
export function splitBytes(bytes: Buffer, width: number): Next<Buffer> {
  const count = Math.floor(bytes.length / width);
  let i = 0;
  return () => {
    if (i >= count) throw ended();
    const value = Buffer.alloc(width);
    for (let byte = 0; byte < width; byte++) value[byte] = bytes[byte * count + i]!;
    i++;
    return value;
  };
}

/** Values by their number in a dictionary. */
export function dictionaryValues<T>(bytes: Buffer, dictionary: readonly T[]): Next<T> {
  if (bytes.length === 0)
    return () => {
      throw ended();
    };
  const index = runs(bytes.subarray(1), bytes[0]!);
  return () => {
    const i = index();
    if (i >= dictionary.length)
      throw new Error(`a page has value ${i} of a dictionary of ${dictionary.length}`);
    return dictionary[i]!;
  };
}

/** Integers as differences in blocks (DELTA_BINARY_PACKED), at most `most` of them, and where they end. */
function deltas(bytes: Buffer, most: number): { values: number[]; end: number } {
  let at = 0;
  const varint = () => {
    const [value, end] = varintAt(bytes, at);
    at = end;
    return value;
  };
  const zigzag = () => {
    const value = varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  const [block, parts, count] = [varint(), varint(), varint()];
  const perPart = block / parts;
  if (count > most) throw new Error(`a page has ${count} numbers for ${most} values`);
  if (!(perPart > 0 && perPart % 8 === 0)) throw new Error("a page has blocks of no length");
  let value = zigzag();
  const values: number[] = count === 0 ? [] : [value];
  while (values.length < count) {
    const least = zigzag();
    const widths = bytes.subarray(at, at + parts);
    if (widths.length < parts) throw ended();
    at += parts;
    for (const width of widths) {
      if (values.length === count) break;
      if (width > 53) throw new Error(`a page has differences of ${width} bits`);
      for (let i = 0; i < perPart && values.length < count; i++) {
        value += least + bitsAt(bytes, 8 * at + i * width, width);
        values.push(value);
      }
      at += (perPart / 8) * width;
    }
  }
  if (!values.every(Number.isSafeInteger)) throw new Error("a page has a number beyond 2^53");
  return { values, end: at };
}

/** Integers, written as differences. */
export function deltaNumbers(bytes: Buffer, most: number): Next<number> {
  const { values } = deltas(bytes, most);
  let i = 0;
  return () => {
    if (i >= values.length) throw ended();
    return values[i++]!;
  };
}

function deltaLengths(bytes: Buffer, most: number) {
  const lengths = deltas(bytes, most);
  if (lengths.values.every((length) => length >= 0)) return lengths;
  throw new Error("a page has a length of less than nothing");
}

/** Byte strings behind all their lengths (DELTA_LENGTH_BYTE_ARRAY). */
export function deltaLengthBytes(bytes: Buffer, most: number): Next<Buffer> {
  const { values, end } = deltaLengths(bytes, most);
  let at = end;
  let i = 0;
  return () => {
    const start = at;
    at += values[i++] ?? Number.POSITIVE_INFINITY;
    if (at > bytes.length) throw ended();
    return bytes.subarray(start, at);
  };
}

/** Bytes that the values of a page may have in all, for a byte of the page: each may repeat the one before. */
const REPEATS = { fixed: 1 << 16, perByte: 1000 };

/** Byte strings as the start of the one before and an end of their own (DELTA_BYTE_ARRAY). */
export function deltaBytes(bytes: Buffer, most: number): Next<Buffer> {
  const prefixes = deltaLengths(bytes, most);
  const suffix = deltaLengthBytes(bytes.subarray(prefixes.end), most);
  let before = Buffer.alloc(0);
  let total = 0;
  let i = 0;
  return () => {
    const shared = prefixes.values[i++] ?? Number.POSITIVE_INFINITY;
    const own = suffix();
    total += shared + own.length;
    if (shared > before.length || total > REPEATS.fixed + REPEATS.perByte * bytes.length)
      throw new Error("a page repeats more than it has");
    before = Buffer.concat([before.subarray(0, shared), own]);
    return before;
  };
}
