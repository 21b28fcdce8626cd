import { existsSync, readdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FacetError } from "../errors.js";
import type { GemmaConfig, SlidingWindow } from "../models/gemma/config.js";
import { families, localLayers } from "../models/gemma/family.js";

/** A named model: its shape, and where its weights come from. */
export interface Preset {
  readonly config: GemmaConfig;
  /** A repository on Hugging Face, or the folder that ships with Facet. */
  readonly source: { readonly huggingFace: string } | { readonly bundled: string };
}

const gemma1 = {
  vocabularySize: 256_000,
  headDim: 256,
  rmsNormEps: 1e-6,
  ropeBase: 10_000,
  maxPositions: 8192,
} as const;

const gemma2b: GemmaConfig = {
  ...gemma1,
  numLayers: 18,
  numHeads: 8,
  numKeyValueHeads: 1,
  hiddenSize: 2048,
  intermediateSize: 16_384,
};

const gemma7b: GemmaConfig = {
  ...gemma1,
  numLayers: 28,
  numHeads: 16,
  numKeyValueHeads: 16,
  hiddenSize: 3072,
  intermediateSize: 24_576,
};

const gemma2 = {
  ...gemma1,
  family: "gemma2",
  attentionSoftCap: 50,
  finalSoftCap: 30,
} as const;

/** Every other layer of Gemma 2 sees the last 4096 tokens. */
const gemma2Window = (numLayers: number): SlidingWindow => ({
  length: 4096,
  layers: localLayers(numLayers, families.gemma2.globalEvery),
  ropeBase: 10_000,
});

const gemma2With2B: GemmaConfig = {
  ...gemma2,
  numLayers: 26,
  numHeads: 8,
  numKeyValueHeads: 4,
  hiddenSize: 2304,
  intermediateSize: 9216,
  queryScalar: 256,
  slidingWindow: gemma2Window(26),
};

const gemma2With9B: GemmaConfig = {
  ...gemma2,
  numLayers: 42,
  numHeads: 16,
  numKeyValueHeads: 8,
  hiddenSize: 3584,
  intermediateSize: 14_336,
  queryScalar: 256,
  slidingWindow: gemma2Window(42),
};

const gemma2With27B: GemmaConfig = {
  ...gemma2,
  numLayers: 46,
  numHeads: 32,
  numKeyValueHeads: 16,
  hiddenSize: 4608,
  intermediateSize: 36_864,
  headDim: 128,
  // The width of a head if the heads divided the hidden size, which they do not.
  queryScalar: 144,
  slidingWindow: gemma2Window(46),
};

const gemma3 = {
  family: "gemma3_text",
  vocabularySize: 262_144,
  numHeads: 4,
  numKeyValueHeads: 1,
  headDim: 256,
  rmsNormEps: 1e-6,
  ropeBase: 1_000_000,
  queryScalar: 256,
  maxPositions: 32_768,
} as const;

/** Five of six layers of Gemma 3 see the last 512 tokens. */
const gemma3Window = (numLayers: number): SlidingWindow => ({
  length: 512,
  layers: localLayers(numLayers, families.gemma3_text.globalEvery),
  ropeBase: 10_000,
});

const gemma3With270M: GemmaConfig = {
  ...gemma3,
  numLayers: 18,
  hiddenSize: 640,
  intermediateSize: 2048,
  slidingWindow: gemma3Window(18),
};

const gemma3With1B: GemmaConfig = {
  ...gemma3,
  numLayers: 26,
  hiddenSize: 1152,
  intermediateSize: 6912,
  slidingWindow: gemma3Window(26),
};

const facetNano: GemmaConfig = {
  ...gemma1,
  vocabularySize: 4096,
  numLayers: 6,
  numHeads: 4,
  numKeyValueHeads: 2,
  hiddenSize: 256,
  intermediateSize: 768,
  headDim: 64,
  maxPositions: 1024,
};

export const presets: Readonly<Record<string, Preset>> = {
  gemma_2b_en: { config: gemma2b, source: { huggingFace: "google/gemma-2b" } },
  gemma_instruct_2b_en: { config: gemma2b, source: { huggingFace: "google/gemma-2b-it" } },
  gemma_7b_en: { config: gemma7b, source: { huggingFace: "google/gemma-7b" } },
  gemma_instruct_7b_en: { config: gemma7b, source: { huggingFace: "google/gemma-7b-it" } },
  gemma2_2b_en: { config: gemma2With2B, source: { huggingFace: "google/gemma-2-2b" } },
  gemma2_instruct_2b_en: { config: gemma2With2B, source: { huggingFace: "google/gemma-2-2b-it" } },
  gemma2_9b_en: { config: gemma2With9B, source: { huggingFace: "google/gemma-2-9b" } },
  gemma2_instruct_9b_en: { config: gemma2With9B, source: { huggingFace: "google/gemma-2-9b-it" } },
  gemma2_27b_en: { config: gemma2With27B, source: { huggingFace: "google/gemma-2-27b" } },
  gemma2_instruct_27b_en: {
    config: gemma2With27B,
    source: { huggingFace: "google/gemma-2-27b-it" },
  },
  gemma3_270m: { config: gemma3With270M, source: { huggingFace: "google/gemma-3-270m" } },
  gemma3_instruct_270m: {
    config: gemma3With270M,
    source: { huggingFace: "google/gemma-3-270m-it" },
  },
  gemma3_1b: { config: gemma3With1B, source: { huggingFace: "google/gemma-3-1b-pt" } },
  gemma3_instruct_1b: { config: gemma3With1B, source: { huggingFace: "google/gemma-3-1b-it" } },
  facet_nano_en: { config: facetNano, source: { bundled: "facet_nano_en" } },
};

/** Files that ship with Facet: the built-in model and data set. */
export const assets = fileURLToPath(new URL("../../assets/", import.meta.url));

/** Facet's own place on this machine; `FACET_HOME` moves it. */
export const facetHome = (): string => process.env.FACET_HOME ?? join(homedir(), ".cache", "facet");

/** Where Facet looks for a preset's weights. `FACET_HOME` and `HF_HOME` move the two places. */
function weightFolders(name: string, repository: string): { own: string; all: string[] } {
  const cache = join(homedir(), ".cache");
  const own = join(facetHome(), "models", name);
  const hub = join(process.env.HF_HOME ?? join(cache, "huggingface"), "hub");
  const snapshots = join(hub, `models--${repository.replace("/", "--")}`, "snapshots");
  const revisions = existsSync(snapshots) ? readdirSync(snapshots).sort() : [];
  return { own, all: [own, ...revisions.map((revision) => join(snapshots, revision))] };
}

/** The folder that holds a preset's weights on this machine. Throws a FacetError that says how to get them. */
export function presetFolder(name: string): string {
  const { source } = presets[name]!;
  if ("bundled" in source) return join(assets, source.bundled);
  const { own, all } = weightFolders(name, source.huggingFace);
  const found = all.find((folder) => existsSync(join(folder, "config.json")));
  if (found !== undefined) return realpathSync(found);
  const page = `https://huggingface.co/${source.huggingFace}`;
  throw new FacetError(
    `The weights of ${name} are not on this machine: accept the licence at ${page}, run ` +
      `"hf download ${source.huggingFace} --local-dir ${own}", and try again (or give the path of a folder that has them).`,
  );
}
