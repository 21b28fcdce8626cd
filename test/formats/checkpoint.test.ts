import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { openCheckpoint } from "../../src/formats/checkpoint.js";
import { readFloat32 } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();

const one = "model-00001-of-00002.safetensors";
const two = "model-00002-of-00002.safetensors";

function writeShard(file: string, values: Record<string, number>): void {
  const tensors = Object.entries(values).map(([name, value]) => ({
    ...{ name, dtype: "F32" as const, shape: [1], data: Float32Array.of(value) },
  }));
  writeSafetensors(at(file), tensors);
}

function writeIndex(weightMap: unknown): void {
  const index = { metadata: { total_size: 12 }, weight_map: weightMap };
  writeFileSync(at("model.safetensors.index.json"), JSON.stringify(index));
}

function writeSharded(): void {
  writeShard(one, { a: 1, b: 2 });
  writeShard(two, { c: 3 });
  writeIndex({ a: one, b: one, c: two });
}

function expectRefusal(message: RegExp): void {
  expect(() => openCheckpoint(at())).toThrow(FacetError);
  expect(() => openCheckpoint(at())).toThrow(message);
}

describe("openCheckpoint", () => {
  it("opens a folder with one file", () => {
    const folder = new URL("../fixtures/gemma1_tiny", import.meta.url).pathname;
    const tensors = openCheckpoint(folder);
    expect(tensors.get("model.embed_tokens.weight")?.shape).toEqual([512, 64]);
    expect(readFloat32(tensors.get("model.norm.weight")!)).toHaveLength(64);
  });

  it("joins the shards of an index", () => {
    writeSharded();
    const tensors = openCheckpoint(at());
    const values = [...tensors].map(([name, info]) => [name, ...readFloat32(info)]);
    expect(values).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
    expect(tensors.get("c")?.file).toBe(at(two));
  });

  it("follows links, of which Hugging Face's cache is made", () => {
    writeSharded();
    mkdirSync(at("blobs"));
    renameSync(at(two), at("blobs", "0123"));
    symlinkSync(at("blobs", "0123"), at(two));
    expect(openCheckpoint(at()).size).toBe(3);
  });

  it("names every missing shard", () => {
    writeSharded();
    rmSync(at(one));
    rmSync(at(two));
    expectRefusal(new RegExp(`lacks ${one}, ${two}`));
  });

  it("names what a folder has instead of a model", () => {
    writeFileSync(at("pytorch_model.bin"), "");
    expectRefusal(/neither model\.safetensors nor .* It has: pytorch_model\.bin/);
    expect(() => openCheckpoint(at("none"))).toThrow(/Cannot read .*none/);
  });

  it.each([
    "../x.safetensors",
    "/etc/x.safetensors",
    "sub/x.safetensors",
    "a\\x.safetensors",
    "..",
    "",
  ])("refuses the shard name %j, even if there is such a file", (shard) => {
    writeSharded();
    writeIndex({ a: one, b: one, c: shard });
    expectRefusal(/not the name of a \.safetensors file in that folder/);
  });

  it("refuses a tensor that the index places in another shard", () => {
    writeSharded();
    writeIndex({ a: one, b: two, c: two });
    expectRefusal(/00001.* holds tensor "b", which .* places in model-00002/);
  });

  it("refuses a tensor that the index does not list", () => {
    writeSharded();
    writeIndex({ a: one, c: two });
    expectRefusal(/00001.* holds tensor "b", which .* places in no shard/);
  });

  it("refuses an index with a tensor that its shard lacks", () => {
    writeSharded();
    writeIndex({ a: one, b: one, c: two, d: two });
    expectRefusal(/00002.* lacks tensor "d"/);
  });

  it("refuses two shards with the same tensor", () => {
    writeSharded();
    writeShard(two, { b: 2, c: 3 });
    expectRefusal(/00002.* holds tensor "b", which .* places in model-00001/);
  });

  it.each([[{ a: 3 }], [[one]], [undefined]])("refuses the weight map %j", (weightMap) => {
    writeIndex(weightMap);
    expectRefusal(/index\.json: .*weight_map/s);
  });

  it("refuses an index that is not JSON, and a damaged shard", () => {
    writeSharded();
    writeFileSync(at(two), "damaged");
    expectRefusal(/00002/);
    writeFileSync(at("model.safetensors.index.json"), "{");
    expectRefusal(/index\.json: not valid JSON/);
  });
});
