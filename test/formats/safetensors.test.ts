import { readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { readFloat32, readSafetensorsHeader, readTensor } from "../../src/formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();
const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname;

/** The bytes of a safetensors file with this header text and as many zero bytes of data. */
function fileOf(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const f32 = (name: string, shape: number[], data: number[]): TensorToWrite => ({
  name,
  dtype: "F32",
  shape,
  data: Float32Array.from(data),
});

describe("readSafetensorsHeader", () => {
  it("reads a file that the reference implementation wrote", () => {
    const path = fixture("gemma1_tiny/model.safetensors");
    const { metadata, tensors } = readSafetensorsHeader(path);
    expect(metadata).toEqual({ format: "pt" });
    expect(tensors.size).toBe(29);
    expect(tensors.get("model.layers.0.self_attn.k_proj.weight")).toEqual({
      name: "model.layers.0.self_attn.k_proj.weight",
      dtype: "F32",
      shape: [16, 64],
      file: path,
      offset: 3000 + 229888,
      byteLength: 4096,
    });
  });

  it("refuses a file cut anywhere, naming it", () => {
    writeSafetensors(at("whole"), [f32("a", [2], [1, 2]), f32("b", [], [3])]);
    const bytes = readFileSync(at("whole"));
    expect(() => readSafetensorsHeader(at("whole"))).not.toThrow();
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(at("cut"), bytes.subarray(0, length));
      expect(() => readSafetensorsHeader(at("cut")), `${length} bytes`).toThrow(FacetError);
      expect(() => readSafetensorsHeader(at("cut"))).toThrow(at("cut"));
    }
  });

  it("survives any change of a byte of the header: it reads or throws FacetError", () => {
    writeSafetensors(at("whole"), [f32("a", [2], [1, 2]), f32("b", [], [3])]);
    const bytes = readFileSync(at("whole"));
    const place = fc.integer({ min: 0, max: bytes.length - 13 });
    fc.assert(
      fc.property(place, fc.integer({ min: 0, max: 255 }), (index, value) => {
        const changed = Uint8Array.from(bytes);
        changed[index] = value;
        writeFileSync(at("changed"), changed);
        try {
          readSafetensorsHeader(at("changed"));
        } catch (error) {
          expect(error).toBeInstanceOf(FacetError);
        }
      }),
      { numRuns: 500 },
    );
  });

  const entry = (begin: number, end: number, rest = '"dtype":"F32","shape":[1]') =>
    `{${rest},"data_offsets":[${begin},${end}]}`;
  it.each([
    ["a header that is no object", "[1]", 0, /does not begin with "\{"/],
    ["broken JSON", '{"a":', 0, /not valid JSON/],
    ["a repeated name", `{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4, /"a" occurs twice/],
    [
      "a name repeated by an escape",
      `{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`,
      4,
      /"a" occurs/,
    ],
    [
      "an unknown dtype",
      `{"w":${entry(0, 4, '"dtype":"FP32","shape":[1]')}}`,
      4,
      /"w".*mean "F32"/,
    ],
    ["no dtype", `{"w":${entry(0, 4, '"shape":[1]')}}`, 4, /"w": dtype is missing/],
    ["an unknown field", `{"w":${entry(0, 4, '"shap":[1]')}}`, 4, /"w".*"shape"/],
    ["a negative size", `{"w":${entry(0, 4, '"dtype":"F32","shape":[-1]')}}`, 4, /"w": shape/],
    ["a fractional size", `{"w":${entry(0, 4, '"dtype":"F32","shape":[1.5]')}}`, 4, /"w": shape/],
    [
      "a shape beyond all files",
      `{"w":${entry(0, 4, '"dtype":"F32","shape":[4294967296,4294967296]')}}`,
      4,
      /"w": \[4294967296,4294967296\] is not a possible shape/,
    ],
    [
      "a shape of another size",
      `{"w":${entry(0, 4, '"dtype":"F32","shape":[2]')}}`,
      4,
      /takes 8 bytes/,
    ],
    ["offsets that descend", `{"w":${entry(4, 0)}}`, 4, /"w": data_offsets/],
    [
      "three offsets",
      '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}',
      4,
      /data_offsets/,
    ],
    ["an overlap", `{"a":${entry(0, 4)},"b":${entry(2, 6)}}`, 6, /"b".*overlaps/],
    ["the same place twice", `{"a":${entry(0, 4)},"b":${entry(0, 4)}}`, 4, /"b".*overlaps/],
    ["a hole", `{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12, /"b".*hole/],
    ["a hole at the start", `{"a":${entry(4, 8)}}`, 8, /"a".*hole/],
    ["bytes after the end", `{"a":${entry(0, 4)}}`, 6, /2 bytes after the last tensor/],
    ["too little data", `{"a":${entry(0, 4)}}`, 3, /"a" ends at byte .*truncated/],
    ["metadata that are no strings", '{"__metadata__":{"n":1}}', 0, /__metadata__/],
    ["a tensor that is no object", '{"w":3}', 0, /"w"/],
  ])("refuses %s", (_, header, dataBytes, message) => {
    writeFileSync(at("bad"), fileOf(header, dataBytes));
    expect(() => readSafetensorsHeader(at("bad"))).toThrow(FacetError);
    expect(() => readSafetensorsHeader(at("bad"))).toThrow(at("bad"));
    expect(() => readSafetensorsHeader(at("bad"))).toThrow(message);
  });

  it("takes no memory for a header length that the file does not have", () => {
    const bytes = fileOf("{}", 0);
    new DataView(bytes.buffer).setBigUint64(0, 2n ** 63n, true);
    writeFileSync(at("bad"), bytes);
    expect(() => readSafetensorsHeader(at("bad"))).toThrow(/9223372036854775808 bytes long/);
  });

  it("refuses a header that is not UTF-8, a missing file and a folder", () => {
    const bytes = fileOf('{"a":{}}', 0);
    bytes[10] = 0xff;
    writeFileSync(at("bad"), bytes);
    expect(() => readSafetensorsHeader(at("bad"))).toThrow(/not valid UTF-8/);
    expect(() => readSafetensorsHeader(at("none"))).toThrow(/Cannot read .*none/);
    expect(() => readSafetensorsHeader(at())).toThrow(FacetError);
  });
});

describe("readFloat32", () => {
  it("reads F32, BF16, F16 and F64 as the same numbers", () => {
    const values = [1.5, -2, 0, 65504];
    const data = Float32Array.from(values);
    writeSafetensors(at("file"), [
      { name: "f32", dtype: "F32", shape: [4], data },
      { name: "bf16", dtype: "BF16", shape: [3], data: data.subarray(0, 3) },
      { name: "f16", dtype: "F16", shape: [2, 2], data },
      { name: "f64", dtype: "F64", shape: [4], data: Float64Array.from(values) },
    ]);
    const { tensors } = readSafetensorsHeader(at("file"));
    const read = (name: string) => [...readFloat32(tensors.get(name)!)];
    expect(read("f32")).toEqual(values);
    expect(read("bf16")).toEqual(values.slice(0, 3));
    expect(read("f16")).toEqual(values);
    expect(read("f64")).toEqual(values);
  });

  it("converts a tensor of more than one chunk", () => {
    const data = Float32Array.from({ length: (1 << 20) + 3 }, (_, i) => i % 251);
    writeSafetensors(at("file"), [{ name: "x", dtype: "BF16", shape: [data.length], data }]);
    const info = readSafetensorsHeader(at("file")).tensors.get("x")!;
    expect(info.byteLength).toBe(data.length * 2);
    expect(Buffer.from(readFloat32(info).buffer).equals(Buffer.from(data.buffer))).toBe(true);
  });

  it("refuses integers, naming file and tensor", () => {
    writeSafetensors(at("file"), [
      { name: "ids", dtype: "I64", shape: [1], data: BigInt64Array.of(5n) },
    ]);
    const info = readSafetensorsHeader(at("file")).tensors.get("ids")!;
    expect(() => readFloat32(info)).toThrow(/file: tensor "ids" is I64/);
  });

  it("says so when the file shrank after its header was read", () => {
    writeSafetensors(at("file"), [f32("a", [2], [1, 2])]);
    const info = readSafetensorsHeader(at("file")).tensors.get("a")!;
    writeFileSync(at("file"), readFileSync(at("file")).subarray(0, -1));
    expect(() => readFloat32(info)).toThrow(/tensor "a" is cut off/);
    expect(() => readTensor(info)).toThrow(/tensor "a" is cut off/);
  });
});
