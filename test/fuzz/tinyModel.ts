import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import type { GemmaConfig } from "../../src/models/gemma/config.js";
import { parseGemmaConfig } from "../../src/models/gemma/configFile.js";
import { type FamilyName, families, localLayers } from "../../src/models/gemma/family.js";
import { gemmaModules, gemmaWeightSpecs } from "../../src/models/gemma/weights.js";
import { type TokenizerModel, Type, tokenizerModel } from "../../src/tokenizers/tokenizerModel.js";
import type { Files } from "./memoryFolder.js";
import { readFiles } from "./savedCases.js";

/** As small as a Gemma of this family can be: an input of a few thousand bytes is read in microseconds. */
export function tinyConfig(family: FamilyName): GemmaConfig {
  const common = {
    vocabularySize: 14,
    numLayers: family === "gemma" ? 1 : 2,
    numHeads: 2,
    numKeyValueHeads: 1,
    hiddenSize: 4,
    intermediateSize: 6,
    headDim: 2,
    rmsNormEps: 1e-6,
    ropeBase: family === "gemma3_text" ? 1_000_000 : 10_000,
    maxPositions: 32,
  };
  if (family === "gemma") return common;
  const slidingWindow = {
    length: 8,
    layers: localLayers(2, families[family].globalEvery),
    ropeBase: 10_000,
  };
  const caps = family === "gemma2" ? { attentionSoftCap: 50, finalSoftCap: 30 } : {};
  return { family, ...common, queryScalar: 2, ...caps, slidingWindow };
}

/** A file of test/fixtures, which another program wrote. */
export const fixture = (path: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../fixtures/${path}`, import.meta.url)));

/** The modules of the model that the fixtures' adapters are for. */
export const fixtureModules = gemmaModules(
  parseGemmaConfig(
    JSON.parse(Buffer.from(fixture("gemma1_tiny/config.json")).toString()),
    "config.json",
  ),
);

export const tinyModules = (family: FamilyName) => gemmaModules(tinyConfig(family));

/** A tokenizer with one piece of each kind, but for the 256 of bytes, which it has if asked. */
export function tinyTokenizer({ bytes = false } = {}): TokenizerModel {
  const { CONTROL, UNKNOWN, NORMAL, USER_DEFINED, BYTE } = Type;
  const table: (readonly [string, Type, number])[] = [
    ...(["<pad>", "<eos>", "<bos>"] as const).map((piece) => [piece, CONTROL, 0] as const),
    ["<unk>", UNKNOWN, 0],
    ...["<start_of_turn>", "<end_of_turn>", "\n"].map((piece) => [piece, USER_DEFINED, 0] as const),
    ...(bytes ? Array.from({ length: 256 }, (_, i) => [byte(i), BYTE, 0] as const) : []),
    ...["ab", "▁a", "▁ab", "▁", "a", "b", "é"].map((piece, i) => [piece, NORMAL, -1 - i] as const),
  ];
  const parts = {
    pieces: table.map(([piece]) => piece),
    types: table.map(([, type]) => type),
    scores: Float32Array.from(table, ([, , score]) => score),
    ...{ padId: 0, eosId: 1, bosId: 2, unkSurface: " \u2047 ", byteFallback: bytes },
    ...{ addDummyPrefix: false, removeExtraWhitespaces: false, escapeWhitespaces: true },
  };
  return tokenizerModel(parts, "tiny");
}

const byte = (value: number) => `<0x${value.toString(16).toUpperCase().padStart(2, "0")}>`;

/** A whole model of this family. Types of its tensors follow one another. */
export function tinyCheckpoint(family: FamilyName): Checkpoint {
  const config = tinyConfig(family);
  const types = ["F32", "F16", "BF16"] as const;
  const tensors = gemmaWeightSpecs(config).map(({ name, shape }, i) => {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    const stored = { shape, dtype: types[i % 3]!, read: () => [values.map((_, j) => j / 8)] };
    return [name, stored] as const;
  });
  return {
    name: "tiny",
    config,
    tensors: new Map(tensors),
    tokenizer: tinyTokenizer(),
    chatTemplate: "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}",
  };
}

/** An adapter of rank 2 for the query and value layers of a model. */
export function tinyMatrices(family: FamilyName): Map<string, LoraMatrices> {
  const modules = tinyModules(family).filter(({ target }) => /^[qv]_proj$/.test(target));
  return new Map(
    modules.map(({ path, inFeatures, outFeatures }) => [
      path,
      {
        a: new Float32Array(2 * inFeatures).fill(0.5),
        b: new Float32Array(2 * outFeatures).fill(0.25),
        ...{ rank: 2, scale: 1, inFeatures, outFeatures },
      },
    ]),
  );
}

/** The files that `write` makes in an empty folder. */
export async function written(write: (folder: string) => Promise<void> | void): Promise<Files> {
  const folder = mkdtempSync(join(tmpdir(), "facet-fuzz-"));
  try {
    await write(folder);
    return readFiles(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const fileOf = (name: string, content: string | Uint8Array): Files =>
  new Map([[name, typeof content === "string" ? Buffer.from(content) : content]]);
