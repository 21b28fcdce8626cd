import { existsSync, readdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FacetError } from "../errors.js";
import type { GemmaConfig } from "../models/gemma/config.js";

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
  facet_nano_en: { config: facetNano, source: { bundled: "facet_nano_en" } },
};

/** Files that ship with Facet: the built-in model and data set. */
export const assets = fileURLToPath(new URL("../../assets/", import.meta.url));

/** Where Facet looks for a preset's weights. `FACET_HOME` and `HF_HOME` move the two places. */
function weightFolders(name: string, repository: string): { own: string; all: string[] } {
  const cache = join(homedir(), ".cache");
  const own = join(process.env.FACET_HOME ?? join(cache, "facet"), "models", name);
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
