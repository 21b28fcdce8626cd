import type { FuzzedFormat } from "./format.js";
import { mlx, peft } from "./formats/adapters.js";
import { chatTemplate } from "./formats/chatTemplate.js";
import { csvData, gzipData, jsonData, parquetData } from "./formats/dataFiles.js";
import { gguf, ggufAdapter, ggufModel } from "./formats/gguf.js";
import { config, huggingFace, tokenizerJson, tokenizerModel } from "./formats/huggingFace.js";
import { hdf5, kerasAdapter, kerasPreset } from "./formats/keras.js";
import { modelfile } from "./formats/modelfile.js";
import { jsonLines } from "./formats/rows.js";
import { runCheckpoint, runMetrics } from "./formats/runs.js";
import { safetensors, safetensorsShards } from "./formats/safetensors.js";

/** Every format that Facet reads from strangers. */
export const formats: readonly FuzzedFormat[] = [
  ...[safetensors, safetensorsShards, config, tokenizerModel, tokenizerJson, huggingFace],
  ...[gguf, ggufModel, ggufAdapter, hdf5, kerasAdapter, kerasPreset, peft, mlx],
  ...[runCheckpoint, runMetrics, jsonLines, modelfile, chatTemplate],
  ...[jsonData, csvData, gzipData, parquetData],
];
