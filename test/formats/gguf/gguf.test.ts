import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../../src/errors.js";
import { readGguf } from "../../../src/formats/gguf/readGguf.js";
import { type GgufMetadata, type GgufValue, valueTypes } from "../../../src/formats/gguf/values.js";
import { type GgufTensorToWrite, writeGguf } from "../../../src/formats/gguf/writeGguf.js";
import { readWhole } from "../../../src/formats/storedTensor.js";
import { fixture } from "../../support/modelFolder.js";
import { temporaryFolder } from "../temporaryFolder.js";

const at = temporaryFolder();

const tensor = (changes: Partial<GgufTensorToWrite> = {}): GgufTensorToWrite => ({
  name: "t",
  shape: [2, 3],
  type: "F32",
  data: () => [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)],
  ...changes,
});

const metadata: GgufMetadata = new Map<string, GgufValue>([
  ["u8", { type: "uint8", value: 255 }],
  ["i8", { type: "int8", value: -128 }],
  ["u16", { type: "uint16", value: 65535 }],
  ["i16", { type: "int16", value: -32768 }],
  ["u32", { type: "uint32", value: 4294967295 }],
  ["i32", { type: "int32", value: -2147483648 }],
  ["f32", { type: "float32", value: 0.5 }],
  ["yes", { type: "bool", value: true }],
  ["no", { type: "bool", value: false }],
  ["text", { type: "string", value: "▁a\n漢" }],
  ["nothing", { type: "string", value: "" }],
  ["u64", { type: "uint64", value: 2n ** 64n - 1n }],
  ["i64", { type: "int64", value: -(2n ** 63n) }],
  ["f64", { type: "float64", value: 0.1 }],
  ["strings", { type: "array", of: "string", value: ["a", "", "漢"] }],
  ["floats", { type: "array", of: "float32", value: [1, -0.25] }],
  ["empty", { type: "array", of: "int32", value: [] }],
]);

describe("a GGUF file", () => {
  test("holds values of every type, and gives them back", () => {
    writeGguf(at("a.gguf"), metadata, []);
    expect(readGguf(at("a.gguf"))).toEqual({ metadata, tensors: new Map() });
    const held = [...metadata.values()].map(({ type }) => type);
    expect(new Set(held)).toEqual(new Set(valueTypes));
  });

  test("holds plain tensors, each beginning on a multiple of 32 bytes", () => {
    const types = ["F32", "F16", "BF16"] as const;
    const tensors = types.map((type) => tensor({ name: type, type }));
    writeGguf(at("a.gguf"), new Map(), tensors);
    const read = readGguf(at("a.gguf")).tensors;
    expect([...read.keys()]).toEqual(types);
    for (const [type, { shape, dtype, ...rest }] of read) {
      expect([shape, dtype, rest.type]).toEqual([[2, 3], type, type]);
      expect(readWhole(read.get(type)!)).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    }
    expect(readFileSync(at("a.gguf")).length % 32).toBe(0);
  });

  test("holds the vocabulary of a real model", () => {
    const pieces = Array.from({ length: 262_144 }, (_, i) => `piece ${i}`);
    const vocabulary: GgufMetadata = new Map([
      ["pieces", { type: "array", of: "string", value: pieces }],
    ]);
    writeGguf(at("a.gguf"), vocabulary, []);
    expect(readGguf(at("a.gguf")).metadata).toEqual(vocabulary);
  });

  test("written by gguf-py is written back with the same bytes", () => {
    const path = fixture("gguf/gemma1_lora_all.gguf");
    const { metadata, tensors } = readGguf(path);
    writeGguf(
      at("again.gguf"),
      metadata,
      [...tensors].map(([name, { shape, type, read }]) => ({ name, shape, type, data: read })),
    );
    expect(readFileSync(at("again.gguf")).equals(readFileSync(path))).toBe(true);
  });

  test("may have another alignment", () => {
    const values: GgufMetadata = new Map([["general.alignment", { type: "uint32", value: 256 }]]);
    writeGguf(at("a.gguf"), values, [tensor(), tensor({ name: "u" })]);
    const { tensors } = readGguf(at("a.gguf"));
    expect(readWhole(tensors.get("u")!)).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(readFileSync(at("a.gguf")).length % 256).toBe(0);
  });
});

describe("readGguf refuses", () => {
  /** A file with one tensor, of which `change` spoils something. */
  const spoiled = (change: (bytes: Buffer) => void) => {
    writeGguf(at("whole.gguf"), new Map(), [tensor({ shape: [6] })]);
    const bytes = readFileSync(at("whole.gguf"));
    change(bytes);
    writeFileSync(at("spoiled.gguf"), bytes);
    return () => readGguf(at("spoiled.gguf"));
  };
  // After the mark: version at 4, counts at 8 and 16; then the tensor: name at 24, axes at 33, size at 37, type at 45,
  // offset at 49.
  test.each<[string, (bytes: Buffer) => void, RegExp]>([
    ["another kind of file", (b) => b.write("GGML"), /spoiled\.gguf: it is not a GGUF file/],
    ["an unknown version", (b) => b.writeUInt32LE(4, 4), /version is 4/],
    ["a big-endian file", (b) => b.writeUInt32BE(3, 4), /little-endian/],
    [
      "more tensors than fit",
      (b) => b.writeBigUInt64LE(2n ** 63n, 8),
      /list of 9223372036854775808 tensors/,
    ],
    [
      "more values than fit",
      (b) => b.writeBigUInt64LE(2n ** 40n, 16),
      /metadata values would go beyond/,
    ],
    [
      "a name longer than the file",
      (b) => b.writeBigUInt64LE(2n ** 62n, 24),
      /name would go beyond/,
    ],
    ["five axes", (b) => b.writeUInt32LE(5, 33), /tensor "t" has 5 axes/],
    ["an impossible shape", (b) => b.writeBigUInt64LE(2n ** 62n, 37), /not a possible shape/],
    [
      "a type that it does not know",
      (b) => b.writeUInt32LE(23, 45),
      /GGML's type 23; Facet reads F32/,
    ],
    ["a place between two tensors'", (b) => b.writeBigUInt64LE(1n, 49), /no multiple of 32/],
    ["a place after the end", (b) => b.writeBigUInt64LE(2n ** 62n, 49), /truncated/],
  ])("%s", (_, change, message) => {
    const read = spoiled(change);
    expect(read).toThrow(message);
    expect(read).toThrow(FacetError);
  });

  test("an alignment that is none, arrays of arrays, and unknown types of values", () => {
    const values: GgufMetadata = new Map([
      ["general.alignment", { type: "array", of: "uint32", value: [] }],
    ]);
    expect(() => writeGguf(at("a.gguf"), values, [])).toThrow(
      /general\.alignment is , not a power/,
    );
    writeGguf(at("a.gguf"), new Map([["k", { type: "array", of: "uint32", value: [] }]]), []);
    const bytes = readFileSync(at("a.gguf"));
    // The value's type follows its key, and the type of its elements that.
    const type = bytes.indexOf("k") + 1;
    const changed = (value: number, place: number) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt32LE(value, place);
      writeFileSync(at("changed.gguf"), copy);
      return () => readGguf(at("changed.gguf"));
    };
    expect(changed(9, type + 4)).toThrow(/value "k" is an array of arrays/);
    expect(changed(13, type)).toThrow(/value "k" is of the unknown type 13/);
    writeGguf(at("a.gguf"), new Map([["general.alignmenT", { type: "uint32", value: 48 }]]), []);
    const text = readFileSync(at("a.gguf"));
    text.write("t", text.indexOf("T"));
    writeFileSync(at("changed.gguf"), text);
    expect(() => readGguf(at("changed.gguf"))).toThrow(/changed\.gguf: general\.alignment is 48/);
  });

  test("tensors that overlap, and names and keys that occur twice", () => {
    writeGguf(
      at("two.gguf"),
      new Map([
        ["k", { type: "bool", value: true }],
        ["l", { type: "bool", value: true }],
      ]),
      [tensor(), tensor({ name: "u" })],
    );
    const bytes = readFileSync(at("two.gguf"));
    const change = (from: string, to: (at: number, bytes: Buffer) => void) => {
      const copy = Buffer.from(bytes);
      to(copy.indexOf(from), copy);
      writeFileSync(at("spoiled.gguf"), copy);
      return () => readGguf(at("spoiled.gguf"));
    };
    // After the name: the number of axes, two sizes, the type.
    const offset = 1 + 4 + 16 + 4;
    expect(change("u", (i, b) => b.writeBigUInt64LE(0n, i + offset))).toThrow(/"u" overlaps/);
    expect(change("u", (i, b) => b.write("t", i))).toThrow(/"t" is there twice/);
    expect(change("l", (i, b) => b.write("k", i))).toThrow(/"k" twice/);
  });

  test("a header that is too long, in a file that is long enough", () => {
    writeGguf(at("a.gguf"), new Map([["k", { type: "string", value: "" }]]), []);
    const bytes = readFileSync(at("a.gguf"));
    bytes.writeBigUInt64LE(2n ** 26n, bytes.indexOf("k") + 5);
    writeFileSync(at("a.gguf"), bytes);
    truncateSync(at("a.gguf"), 2 ** 27);
    expect(() => readGguf(at("a.gguf"))).toThrow(/"k" would make the header longer than/);
  });

  test("a file cut anywhere", () => {
    writeGguf(at("whole.gguf"), metadata, [tensor({ shape: [6] }), tensor({ name: "u" })]);
    const bytes = readFileSync(at("whole.gguf"));
    // The last tensor is 24 bytes of its 32.
    for (let length = 0; length < bytes.length - 8; length++) {
      writeFileSync(at("cut.gguf"), bytes.subarray(0, length));
      expect(() => readGguf(at("cut.gguf")), `${length} bytes`).toThrow(FacetError);
    }
  });

  test("or reads, but never fails otherwise, when bytes change", () => {
    const bytes = readFileSync(fixture("gguf/gemma1_lora_qv.gguf"));
    const change = fc.tuple(fc.nat(1100), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const copy = Buffer.from(bytes);
        for (const [place, value] of changes) copy[place] = value;
        writeFileSync(at("changed.gguf"), copy);
        try {
          for (const stored of readGguf(at("changed.gguf")).tensors.values()) readWhole(stored);
        } catch (error) {
          expect(error).toBeInstanceOf(FacetError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("writeGguf refuses, and leaves no file for,", () => {
  test.each<[string, GgufTensorToWrite[], RegExp]>([
    ["a name that occurs twice", [tensor(), tensor()], /"t" is taken already/],
    ["a name that is too long", [tensor({ name: "t".repeat(64) })], /has over 63 bytes/],
    ["too few values", [tensor({ shape: [7] })], /has 24 bytes, not the 28 of \[7\]/],
  ])("%s", (_, tensors, message) => {
    expect(() => writeGguf(at("a.gguf"), new Map(), tensors)).toThrow(message);
    expect(() => readGguf(at("a.gguf"))).toThrow(/no such file/);
  });
});
