import { describe, expect, it } from "vitest";
import { lz4Block, lz4Hadoop } from "../../../src/formats/parquet/lz4.js";

/** "abcd" and a copy of 39 bytes that reaches over its own start, then "!". */
const block = [0x4f, 97, 98, 99, 100, 4, 0, 20, 0x10, 33];
const text = `${"abcd".repeat(11).slice(0, 43)}!`;
const unpacked = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const big = (value: number) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];

describe("a block", () => {
  it("is literals and copies, with lengths of any size", () => {
    expect(unpacked(lz4Block(Uint8Array.from(block), 44))).toBe(text);
    const long = "x".repeat(300);
    const literals = Uint8Array.from([0xf0, 255, 30, ...Buffer.from(long)]);
    expect(unpacked(lz4Block(literals, 300))).toBe(long);
    expect(lz4Block(Uint8Array.of(0), 0)).toHaveLength(0);
  });

  it.each<[string, number[], number]>([
    ["is cut off in its literals", block.slice(0, 3), 44],
    ["is cut off in a distance", block.slice(0, 6), 44],
    ["is cut off in a length", block.slice(0, 7), 44],
    ["unpacks to more than it says", block, 43],
    ["unpacks to less than it says", block, 45],
    ["copies from before its start", [0x14, 97, 2, 0, 0x10, 33], 10],
    ["copies from where it is", [0x14, 97, 0, 0, 0x10, 33], 10],
  ])("is refused that %s", (_, bytes, length) => {
    expect(() => lz4Block(Uint8Array.from(bytes), length)).toThrow(/not packed as LZ4/);
  });
});

describe("Hadoop's form", () => {
  const framed = (length: number, bytes: number[]) => [
    ...big(length),
    ...big(bytes.length),
    ...bytes,
  ];

  it("is blocks behind their lengths, or a block alone", () => {
    const twice = Uint8Array.from([...framed(44, block), ...framed(44, block)]);
    expect(unpacked(lz4Hadoop(twice, 88))).toBe(text + text);
    expect(unpacked(lz4Hadoop(Uint8Array.from(block), 44))).toBe(text);
  });

  it.each<[string, number[]]>([
    ["a length that leads back", [...big(44), ...big(0x8000_0000), ...block]],
    ["another length than is asked for", framed(44, block).slice(0, -1)],
    ["blocks of nothing", [...big(0), ...big(0), ...big(0), ...big(0)]],
  ])("is refused with %s", (_, bytes) => {
    expect(() => lz4Hadoop(Uint8Array.from(bytes), 44)).toThrow(/not packed as LZ4/);
  });
});
