import { existsSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { readChatTemplate } from "../checkpoints/companions.js";
import { readQuantised } from "../checkpoints/huggingFace.js";
import { modelFormat, readModel } from "../checkpoints/modelFiles.js";
import { openCheckpoint } from "../formats/checkpoint.js";
import type { TensorInfo } from "../formats/safetensors.js";
import { type GemmaConfig, readGemmaConfig } from "../models/gemma/config.js";
import { familyOf } from "../models/gemma/family.js";
import { bindWeights, type FrozenWeight } from "../models/gemma/model.js";
import { textTensors } from "../models/gemma/textTensors.js";
import { tokenizerOf } from "../tokenizers/sentencePiece.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { readTokenizer } from "../tokenizers/tokenizerFiles.js";
import { adopt } from "./adopt.js";
import type { DownloadHooks } from "./download.js";
import { locateModel } from "./locate.js";
import { facetHome, vocabularyPlace } from "./places.js";
import { presets } from "./presets.js";
import { readStopIds } from "./stopIds.js";
import { storedWeights } from "./storedWeights.js";
import type { WeightType } from "./weightTypes.js";

/** A model on this machine, open: nothing of its weights has been read but their headers. */
export interface OpenModel {
  readonly name: string;
  readonly folder: string;
  readonly config: GemmaConfig;
  /** The tensors of the model's own files. */
  readonly weights: ReadonlyMap<string, TensorInfo>;
  /** The same in the type that was asked for: what is computed with. */
  readonly frozen: ReadonlyMap<string, FrozenWeight>;
  /** Undefined for a folder without one; then only token ids go in and out. */
  readonly tokenizer: Tokenizer | undefined;
  /** Jinja source of the chat template, where the model's files have one. */
  readonly chatTemplate: string | undefined;
  /** Quantised types that the weights were in before they were made floating-point numbers; mostly none. */
  readonly quantised: readonly string[];
  /** Ids that end a text: the tokenizer's end token, those of generation_config.json, and the end of a turn. */
  readonly stopIds: readonly number[];
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

export interface OpenOptions extends DownloadHooks {
  /** The type to compute with; default "auto", the one that the files have. */
  readonly weights?: WeightType;
  /** Where models that were converted to be used are kept. Default: in Facet's own place. */
  readonly cache?: string;
}

/** The shape of a preset or of any model that `openModel` opens; of its files it needs config.json only, where it can be had alone. */
export async function describeModel(
  nameOrPath: string,
  hooks: DownloadHooks = {},
): Promise<{ name: string; config: GemmaConfig }> {
  if (Object.hasOwn(presets, nameOrPath)) {
    return { name: nameOrPath, config: presets[nameOrPath]!.config };
  }
  const { path, name } = await locateModel(nameOrPath, hooks, "config");
  if (modelFormat(path) === "huggingFace") return { name, config: readGemmaConfig(path) };
  return { name, config: readModel((await locateModel(nameOrPath, hooks)).path).config };
}

/**
 * Opens a model by its name or path, and downloads it if it is not on this machine (see `locateModel`). A Keras preset
 * or a GGUF file is converted the first time. Throws a FacetError for anything missing, unknown or of the wrong shape.
 */
export async function openModel(
  nameOrPath: string,
  { cache = join(facetHome(), "converted"), weights = "auto", ...hooks }: OpenOptions = {},
): Promise<OpenModel> {
  const { path, name } = await locateModel(nameOrPath, hooks);
  const folder = modelFormat(path) === "huggingFace" ? path : await adopt(path, cache);
  const model = openFolder(folder, name);
  if (weights === "auto" || weights === storedType(model).toLowerCase()) return model;
  const source = path.endsWith(".gguf") ? readModel(path).tensors : undefined;
  return { ...model, frozen: await storedWeights(model, weights, { source, ...hooks }) };
}

function openFolder(folder: string, name: string): OpenModel {
  const config = readGemmaConfig(folder);
  const stored = textTensors(config, followLinks(openCheckpoint(folder)));
  const weights = bindWeights(config, stored, folder);
  const model = readTokenizer(folder, config.vocabularySize, vocabularyPlace());
  const tokenizer = model && tokenizerOf(model);
  const chatTemplate = readChatTemplate(folder);
  const stopIds = tokenizer ? readStopIds(folder, tokenizer) : [];
  const quantised = readQuantised(folder);
  const texts = { tokenizer, chatTemplate, quantised, stopIds };
  return { name, folder, config, weights, frozen: weights, ...texts };
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

/** How a model reads conversations, as Jinja source: as its files say, or as its family does. */
export const chatTemplateOf = ({ chatTemplate, config }: OpenModel): string =>
  chatTemplate ?? familyOf(config).chatTemplate;
