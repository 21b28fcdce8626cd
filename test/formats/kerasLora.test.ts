import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { FacetError } from "../../src/errors.js";
import type { Hdf5GroupToWrite } from "../../src/formats/hdf5/layout.js";
import { type Hdf5Group, readHdf5 } from "../../src/formats/hdf5/readHdf5.js";
import { writeHdf5 } from "../../src/formats/hdf5/writeHdf5.js";
import { readKerasLora, writeKerasLora } from "../../src/formats/kerasLora.js";
import { readFloat32, readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();
const fixture = (name: string) =>
  new URL(`../fixtures/keras_gemma1_tiny/${name}`, import.meta.url).pathname;
const ADAPTER = fixture("adapter.lora.h5");

type Content = Record<
  string,
  { data: Float32Array | BigInt64Array | Float64Array; shape: number[] }
>;

const good: Content = {
  "lora/vars/rank": { data: BigInt64Array.of(2n), shape: [] },
  "lora/8/vars/lora_kernel_a": { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [1, 3, 2] },
  "lora/8/vars/lora_kernel_b": { data: Float32Array.of(1, 2), shape: [2, 1] },
};

/** Writes an HDF5 file with these datasets. */
function writeDatasets(path: string, content: Content): void {
  const tree = (under: string): Hdf5GroupToWrite => {
    const names = Object.keys(content).filter((name) => name.startsWith(under));
    const keys = new Set(names.map((name) => name.slice(under.length).split("/")[0]!));
    const member = (key: string) => {
      const found = content[under + key];
      if (found === undefined) return tree(`${under}${key}/`);
      const { data, shape } = found;
      const type =
        data instanceof Float32Array ? "F32" : data instanceof Float64Array ? "F64" : "I64";
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return { kind: "dataset", type, shape, data: () => [bytes] } as const;
    };
    return { kind: "group", members: new Map([...keys].map((key) => [key, member(key)])) };
  };
  writeHdf5(path, tree(""));
}

describe("readKerasLora", () => {
  it("reads the variables that Keras had when it saved the file", async () => {
    const { rank, layers } = readKerasLora(ADAPTER);
    expect(rank).toBe(4);
    expect([...layers.keys()].sort((a, b) => a - b)).toEqual([8, 10, 19, 21, 30, 32]);
    const { tensors } = readSafetensorsHeader(fixture("fit.safetensors"));
    for (const projection of ["query", "value"] as const) {
      for (const layer of [0, 1, 2]) {
        const { a, b } = layers.get((projection === "query" ? 10 : 8) + 11 * layer)!;
        const prefix = `after_fit_batch2/decoder_block_${layer}/attention/${projection}`;
        const expectedA = tensors.get(`${prefix}/lora_kernel_a`)!;
        const expectedB = tensors.get(`${prefix}/lora_kernel_b`)!;
        expect(a).toEqual({ shape: expectedA.shape, data: readFloat32(expectedA) });
        expect(b).toEqual({ shape: expectedB.shape, data: readFloat32(expectedB) });
      }
    }
  });

  it("reads a file made by another writer", async () => {
    writeDatasets(at("made.lora.h5"), good);
    const { rank, layers } = readKerasLora(at("made.lora.h5"));
    expect(rank).toBe(2);
    expect(layers).toEqual(
      new Map([
        [
          8,
          {
            a: { shape: [1, 3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
            b: { shape: [2, 1], data: Float32Array.of(1, 2) },
          },
        ],
      ]),
    );
  });

  const without = (name: string): Content =>
    Object.fromEntries(Object.entries(good).filter(([key]) => !key.startsWith(name)));
  const kernel = (shape: number[]) => ({
    ...{ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
  });
  it.each<[string, Content, RegExp]>([
    ["no adapter at all", { other: kernel([1]) }, /the dataset lora\/vars\/rank is missing/],
    ["no rank", without("lora/vars"), /the dataset lora\/vars\/rank is missing/],
    ["no layers", without("lora/8"), /no layer in it has an adapter/],
    [
      "a missing kernel",
      without("lora/8/vars/lora_kernel_b"),
      /lora\/8\/vars\/lora_kernel_b is missing/,
    ],
    [
      "a rank of 0",
      { ...good, "lora/vars/rank": { data: BigInt64Array.of(0n), shape: [] } },
      /rank is not a positive/,
    ],
    ["a rank of another kind", { ...good, "lora/vars/rank": kernel([]) }, /rank is not a positive/],
    [
      "an A of another rank",
      { ...good, "lora/8/vars/lora_kernel_a": kernel([1, 3, 4]) },
      /kernel_a is \[1,3,4\].*rank, 2/,
    ],
    [
      "an A of one axis",
      { ...good, "lora/8/vars/lora_kernel_a": kernel([2]) },
      /kernel_a is \[2\]/,
    ],
    [
      "a B of another rank",
      { ...good, "lora/8/vars/lora_kernel_b": kernel([3, 1]) },
      /kernel_b is \[3,1\].*\[2, features\]/,
    ],
    [
      "another dtype",
      { ...good, "lora/8/vars/lora_kernel_b": { data: new Float64Array(2), shape: [2, 1] } },
      /lora_kernel_b is not little-endian float32/,
    ],
    [
      "a layer that is no number",
      { ...good, "lora/x/vars/lora_kernel_a": kernel([1, 2]) },
      /lora\/x is not the index/,
    ],
    [
      "another variable",
      { ...good, "lora/8/vars/bias": kernel([2]) },
      /lora\/8\/vars\/bias is no part/,
    ],
  ])("refuses a file with %s", async (_, content, message) => {
    writeDatasets(at("bad.lora.h5"), content);
    const reading = () => readKerasLora(at("bad.lora.h5"));
    expect(reading).toThrow(FacetError);
    expect(reading).toThrow(message);
    expect(reading).toThrow(at("bad.lora.h5"));
  });

  it("refuses a truncated file wherever it is cut", async () => {
    const bytes = readFileSync(ADAPTER);
    for (let length = 0; length < bytes.length; length += length < 200 ? 1 : 499) {
      writeFileSync(at("cut.lora.h5"), bytes.subarray(0, length));
      expect(() => readKerasLora(at("cut.lora.h5")), `${length} bytes`).toThrow(
        /cut\.lora\.h5: (it is not an HDF5 file|it should go on to byte|.*points outside|.*truncated|.*longer than the file)/,
      );
    }
  });

  it("reads or refuses damaged files without a word on the terminal, and reads good ones after", async () => {
    const terminal = vi.spyOn(console, "error");
    const bytes = readFileSync(ADAPTER);
    let refused = 0;
    // A fixed sequence of damages (Numerical Recipes' generator), so that a failure can be repeated.
    let state = 12345;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let run = 0; run < 500; run++) {
      const damaged = Uint8Array.from(bytes);
      for (let i = 0; i < 8; i++) damaged[random(8000)] = random(256);
      writeFileSync(at("damaged.lora.h5"), damaged);
      try {
        readKerasLora(at("damaged.lora.h5"));
      } catch (error) {
        expect(error).toBeInstanceOf(FacetError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
    expect(readKerasLora(ADAPTER).layers.size).toBe(6);
    expect(terminal).not.toHaveBeenCalled();
    expect(readdirSync(at())).toEqual(["damaged.lora.h5"]);
  });

  it("names a missing file", async () => {
    expect(() => readKerasLora(at("none.lora.h5"))).toThrow(/Cannot read .*none\.lora\.h5/);
  });

  it("writes the file that Keras wrote, but for the order of its bytes", () => {
    const { rank, layers } = readKerasLora(ADAPTER);
    writeKerasLora(at("again.lora.h5"), rank, layers);
    expect(readKerasLora(at("again.lora.h5"))).toEqual({ rank, layers });
    const shape = (group: Hdf5Group): unknown =>
      [...group.members].map(([key, member]) => [
        key,
        member.kind === "group" ? shape(member) : [member.type, member.shape],
        [...member.attributes],
      ]);
    expect(shape(readHdf5(at("again.lora.h5")))).toEqual(shape(readHdf5(ADAPTER)));
    expect(() => writeKerasLora(at("adapter.h5"), rank, layers)).toThrow(/end in \.lora\.h5/);
  });
});
