import { brotliCompressSync, gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { unpackerOf } from "../../../src/formats/parquet/unpack.js";

const text = Buffer.from("the same words, the same words, the same words ".repeat(20));
/** Four literals, and a copy of the first 40 bytes that reaches over its own start. */
const packed: [string, number, Uint8Array][] = [
  ["gzip", 2, gzipSync(text)],
  ["Brotli", 4, brotliCompressSync(text)],
  ["Snappy", 1, Uint8Array.from([44, 12, 97, 98, 99, 100, ((40 - 1) << 2) | 2, 4, 0])],
  ["LZ4", 7, Uint8Array.from([0x4f, 97, 98, 99, 100, 4, 0, 20, 0x10, 33])],
];
const lengths: Record<string, number> = { Snappy: 44, LZ4: 44 };

it.each(packed)(
  "%s: gives the bytes, and nothing when their number is another",
  async (name, codec, bytes) => {
    const unpack = await unpackerOf(codec);
    const length = lengths[name] ?? text.length;
    expect(Buffer.from(unpack(bytes, length)).toString()).toBe(
      name in lengths
        ? `${"abcd".repeat(11).slice(0, 43)}${name === "LZ4" ? "!" : "d"}`
        : text.toString(),
    );
  },
);

it.each(packed.slice(0, 3))(
  "%s: refuses another length, and bytes that are cut off",
  async (name, codec, bytes) => {
    const unpack = await unpackerOf(codec);
    const length = lengths[name] ?? text.length;
    expect(() => unpack(bytes, length - 1)).toThrow();
    expect(() => unpack(bytes, length + 1)).toThrow();
    expect(() => unpack(bytes.subarray(0, -4), length)).toThrow();
  },
);

it("does not unpack what claims a thousand times its size, or a quarter of a gigabyte", async () => {
  const bomb = gzipSync(Buffer.alloc(1 << 20));
  const unpack = await unpackerOf(2);
  expect(unpack(bomb, 1 << 20)).toHaveLength(1 << 20);
  expect(() => unpack(bomb.subarray(0, 100), 165_537)).toThrow(
    /of 100 bytes would unpack to 165537/,
  );
  expect(() => unpack(new Uint8Array(1 << 20), (1 << 28) + 1)).toThrow(/would unpack/);
  expect(() => unpack(bomb, -1)).toThrow(/would unpack/);
});
