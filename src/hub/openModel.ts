import { existsSync, realpathSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { modelFormat, readModel } from "../checkpoints/modelFiles.js";
import { FacetError, unknownName } from "../errors.js";
import { openCheckpoint } from "../formats/checkpoint.js";
import type { TensorInfo } from "../formats/safetensors.js";
import { type GemmaConfig, readGemmaConfig } from "../models/gemma/config.js";
import { bindWeights } from "../models/gemma/model.js";
import { textTensors } from "../models/gemma/textTensors.js";
import { tokenizerOf } from "../tokenizers/sentencePiece.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { readTokenizer } from "../tokenizers/tokenizerFiles.js";
import { adopt } from "./adopt.js";
import { facetHome, presetFolder, presets } from "./presets.js";

/** A model on this machine, open: nothing of its weights has been read but their headers. */
export interface OpenModel {
  readonly name: string;
  readonly folder: string;
  readonly config: GemmaConfig;
  readonly weights: ReadonlyMap<string, TensorInfo>;
  /** Undefined for a folder without one; then only token ids go in and out. */
  readonly tokenizer: Tokenizer | undefined;
}

/** The type that a model's weights are stored in. */
export function storedType({ weights }: OpenModel): "F32" | "F16" | "BF16" {
  const [embedding] = weights.values();
  return embedding!.dtype as "F32" | "F16" | "BF16";
}

/**
 * The same model, named from anywhere: the absolute path of a folder. A preset's name stays, and so
 * does a name that is no folder, for the error to say what is like it.
 */
export const fromAnywhere = (nameOrFolder: string): string =>
  existsSync(nameOrFolder) && !Object.hasOwn(presets, nameOrFolder)
    ? resolve(nameOrFolder)
    : nameOrFolder;

/** The shape of a preset or of the model in a folder; needs no weights. */
export function describeModel(nameOrFolder: string): { name: string; config: GemmaConfig } {
  const preset = Object.hasOwn(presets, nameOrFolder) ? presets[nameOrFolder] : undefined;
  if (preset !== undefined) return { name: nameOrFolder, config: preset.config };
  const path = modelPath(nameOrFolder);
  const { config } =
    modelFormat(path) === "huggingFace" ? { config: readGemmaConfig(path) } : readModel(path);
  return { name: modelName(path), config };
}

/**
 * Opens a preset, a folder as Hugging Face lays it out (config.json, model.safetensors or its shards,
 * tokenizer.model), or a Keras preset or GGUF file, which is converted the first time into `cache`. Throws a FacetError
 * for anything missing, unknown or of the wrong shape.
 */
export async function openModel(
  nameOrPath: string,
  cache: string = join(facetHome(), "converted"),
): Promise<OpenModel> {
  if (Object.hasOwn(presets, nameOrPath)) return openFolder(presetFolder(nameOrPath), nameOrPath);
  const path = modelPath(nameOrPath);
  const folder = modelFormat(path) === "huggingFace" ? path : await adopt(path, cache);
  return openFolder(folder, modelName(path));
}

const modelName = (path: string) => basename(path).replace(/\.gguf$/, "");

function openFolder(folder: string, name: string): OpenModel {
  const config = readGemmaConfig(folder);
  const stored = textTensors(config, followLinks(openCheckpoint(folder)));
  const weights = bindWeights(config, stored, folder);
  const model = readTokenizer(folder, config.vocabularySize);
  const tokenizer = model && tokenizerOf(model);
  return { name, folder, config, weights, tokenizer };
}

function modelPath(path: string): string {
  const folder = resolve(path);
  if (existsSync(folder)) return folder;
  if (path.includes("/") || path.startsWith(".")) {
    throw new FacetError(
      `There is no folder ${folder}. Give a model folder or a preset: ${Object.keys(presets).join(", ")}.`,
    );
  }
  throw unknownName("model", path, Object.keys(presets));
}

/** Hugging Face's cache links to its blobs; the engine maps only real files. */
function followLinks(tensors: ReadonlyMap<string, TensorInfo>): Map<string, TensorInfo> {
  const real = new Map<string, string>();
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const file = real.get(tensor.file) ?? realpathSync(tensor.file);
      real.set(tensor.file, file);
      return [name, { ...tensor, file }];
    }),
  );
}
