import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import {
  readSafetensorsHeader,
  readTensor,
  type SafetensorsDType,
} from "../../src/formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();
const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname;

function headerOf(path: string): { length: number; json: Record<string, unknown> } {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  return { length, json: JSON.parse(bytes.toString("utf8", 8, 8 + length)) };
}

const f32 = (name: string, shape: number[], data: number[]): TensorToWrite => ({
  name,
  dtype: "F32",
  shape,
  data: Float32Array.from(data),
});

describe("writeSafetensors", () => {
  it("begins data on a multiple of 8 and orders tensors as the reference writer does", () => {
    const u8 = (name: string): TensorToWrite => ({
      ...{ name, dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) },
    });
    writeSafetensors(at("file"), [u8("z"), u8("a"), f32("b", [1], [1]), f32("B", [0, 7], [])]);
    const { length, json } = headerOf(at("file"));
    expect(length % 8).toBe(0);
    expect(json).toEqual({
      __metadata__: { format: "pt" },
      B: { dtype: "F32", shape: [0, 7], data_offsets: [0, 0] },
      b: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
      a: { dtype: "U8", shape: [3], data_offsets: [4, 7] },
      z: { dtype: "U8", shape: [3], data_offsets: [7, 10] },
    });
    expect(readSafetensorsHeader(at("file")).tensors.size).toBe(4);
  });

  it("writes byte for byte what the reference implementation writes", () => {
    const path = fixture("gemma1_tiny/peft_all/adapter_model.safetensors");
    const { metadata, tensors } = readSafetensorsHeader(path);
    const shuffled = [...tensors.values()].reverse();
    writeSafetensors(
      at("again"),
      shuffled.map((info) => ({ ...info, data: () => readTensor(info) })),
      metadata,
    );
    expect(readFileSync(at("again")).equals(readFileSync(path))).toBe(true);
  });

  it("keeps the caller's metadata beside the format", () => {
    writeSafetensors(at("file"), [], { step: "3" });
    expect(readSafetensorsHeader(at("file")).metadata).toEqual({ format: "pt", step: "3" });
  });

  it("asks for lazy data one tensor at a time", () => {
    const log: string[] = [];
    const lazy = (name: string): TensorToWrite => ({
      ...{ name, dtype: "F32", shape: [1] },
      data: () => {
        log.push(name);
        return Float32Array.of(1);
      },
    });
    writeSafetensors(at("file"), [lazy("b"), lazy("a")]);
    expect(log).toEqual(["a", "b"]);
  });

  it.each([
    ["a name twice", [f32("a", [1], [1]), f32("a", [1], [1])], /"a" is taken/],
    ["the name of the metadata", [f32("__metadata__", [1], [1])], /"__metadata__" is taken/],
    ["too little data", [f32("a", [2], [1])], /"a" has 1 elements, not those of \[2\]/],
    ["an impossible shape", [f32("a", [-1], [])], /"a": \[-1\] is not a possible shape/],
    [
      "data of another type",
      [{ name: "a", dtype: "I32", shape: [1], data: Float32Array.of(1) }],
      /"a" is I32, which a Float32Array cannot hold/,
    ],
  ] as [string, TensorToWrite[], RegExp][])(
    "refuses %s and writes nothing",
    (_, tensors, message) => {
      expect(() => writeSafetensors(at("file"), tensors)).toThrow(FacetError);
      expect(() => writeSafetensors(at("file"), tensors)).toThrow(message);
      expect(existsSync(at("file"))).toBe(false);
      expect(readdirSync(at())).toEqual([]);
    },
  );

  it("reads back, bit for bit, any tensors of any dtype", () => {
    const arrays = {
      U8: Uint8Array,
      BOOL: Uint8Array,
      I8: Int8Array,
      F8_E4M3: Uint8Array,
      F8_E5M2: Uint8Array,
      U16: Uint16Array,
      I16: Int16Array,
      F16: Uint16Array,
      BF16: Uint16Array,
      U32: Uint32Array,
      I32: Int32Array,
      F32: Float32Array,
      U64: BigUint64Array,
      I64: BigInt64Array,
      F64: Float64Array,
    };
    const tensor = fc
      .record({
        dtype: fc.constantFrom(...(Object.keys(arrays) as SafetensorsDType[])),
        shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
        name: fc.string({ unit: "grapheme" }),
      })
      .chain(({ dtype, shape, name }) => {
        const count = shape.reduce((a, b) => a * b, 1);
        const byteLength = count * arrays[dtype].BYTES_PER_ELEMENT;
        return fc
          .uint8Array({ minLength: byteLength, maxLength: byteLength })
          .map((bytes) => ({ name, dtype, shape, bytes: Uint8Array.from(bytes) }));
      });
    const tensors = fc
      .uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 })
      .filter((list) => list.every(({ name }) => name !== "__metadata__"));
    fc.assert(
      fc.property(tensors, (list) => {
        writeSafetensors(
          at("file"),
          list.map((item) => ({ ...item, data: new arrays[item.dtype](item.bytes.buffer) })),
        );
        const { tensors: read } = readSafetensorsHeader(at("file"));
        expect(read.size).toBe(list.length);
        for (const { name, dtype, shape, bytes } of list) {
          const info = read.get(name)!;
          expect({ dtype: info.dtype, shape: info.shape }).toEqual({ dtype, shape });
          const array = readTensor(info);
          expect(array).toBeInstanceOf(arrays[dtype]);
          expect(new Uint8Array(array.buffer)).toEqual(bytes);
          expect(info.offset % arrays[dtype].BYTES_PER_ELEMENT).toBe(0);
        }
      }),
      { numRuns: 100 },
    );
  });
});
