import type { GemmaConfig, SlidingWindow } from "../models/gemma/config.js";
import { families, localLayers } from "../models/gemma/family.js";

/** The shapes of the published Gemma models, as their config.json files have them. */

const gemma1 = {
  vocabularySize: 256_000,
  headDim: 256,
  rmsNormEps: 1e-6,
  ropeBase: 10_000,
  maxPositions: 8192,
} as const;

export const gemma2b: GemmaConfig = {
  ...gemma1,
  numLayers: 18,
  numHeads: 8,
  numKeyValueHeads: 1,
  hiddenSize: 2048,
  intermediateSize: 16_384,
};

export const gemma7b: GemmaConfig = {
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

export const gemma2With2B: GemmaConfig = {
  ...gemma2,
  numLayers: 26,
  numHeads: 8,
  numKeyValueHeads: 4,
  hiddenSize: 2304,
  intermediateSize: 9216,
  queryScalar: 256,
  slidingWindow: gemma2Window(26),
};

export const gemma2With9B: GemmaConfig = {
  ...gemma2,
  numLayers: 42,
  numHeads: 16,
  numKeyValueHeads: 8,
  hiddenSize: 3584,
  intermediateSize: 14_336,
  queryScalar: 256,
  slidingWindow: gemma2Window(42),
};

export const gemma2With27B: GemmaConfig = {
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

/** Five of six layers of Gemma 3 see a window only: the last 512 tokens, from 4B on 1024. */
const gemma3Window = (numLayers: number, length: number): SlidingWindow => ({
  length,
  layers: localLayers(numLayers, families.gemma3_text.globalEvery),
  ropeBase: 10_000,
});

export const gemma3With270M: GemmaConfig = {
  ...gemma3,
  numLayers: 18,
  hiddenSize: 640,
  intermediateSize: 2048,
  slidingWindow: gemma3Window(18, 512),
};

export const gemma3With1B: GemmaConfig = {
  ...gemma3,
  numLayers: 26,
  hiddenSize: 1152,
  intermediateSize: 6912,
  slidingWindow: gemma3Window(26, 512),
};

/** From 4B on the published model sees images too; these are the shapes of its text part. */
const gemma3OfMultimodal = {
  ...gemma3,
  vocabularySize: 262_208,
  ropeFactor: 8,
  maxPositions: 131_072,
  textPath: "model.language_model",
} as const;

export const gemma3With4B: GemmaConfig = {
  ...gemma3OfMultimodal,
  numLayers: 34,
  hiddenSize: 2560,
  intermediateSize: 10_240,
  numHeads: 8,
  numKeyValueHeads: 4,
  slidingWindow: gemma3Window(34, 1024),
};

export const gemma3With12B: GemmaConfig = {
  ...gemma3OfMultimodal,
  numLayers: 48,
  hiddenSize: 3840,
  intermediateSize: 15_360,
  numHeads: 16,
  numKeyValueHeads: 8,
  slidingWindow: gemma3Window(48, 1024),
};

export const gemma3With27B: GemmaConfig = {
  ...gemma3OfMultimodal,
  numLayers: 62,
  hiddenSize: 5376,
  intermediateSize: 21_504,
  numHeads: 32,
  numKeyValueHeads: 16,
  headDim: 128,
  // The width of a head if the heads divided the hidden size, which they do not.
  queryScalar: 168,
  slidingWindow: gemma3Window(62, 1024),
};

/** A text model of the size of 27B that was published without the part that sees images. */
export const gemma3TextWith27B: GemmaConfig = (({ textPath: _, ...config }) => ({
  ...config,
  vocabularySize: gemma3.vocabularySize,
}))(gemma3With27B);

export const facetNano: GemmaConfig = {
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
