import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { readText } from "../formats/strictJson.js";
import type { Checkpoint } from "./checkpoint.js";
import { readGguf } from "./gguf.js";
import { readHuggingFace } from "./huggingFace.js";
import { readKerasPreset } from "./keras.js";

export type ModelFormat = "huggingFace" | "keras" | "gguf";

/** What kind of model a folder or a file is. Throws a FacetError for what is none. */
export function modelFormat(path: string): ModelFormat {
  if (!existsSync(path)) throw new FacetError(`There is no model at ${path}.`);
  if (!statSync(path).isDirectory()) {
    if (path.endsWith(".gguf")) return "gguf";
    throw new FacetError(`${path} is no model: give a model's folder or its .gguf file.`);
  }
  const config = join(path, "config.json");
  if (existsSync(config)) return isKeras(readText(config)) ? "keras" : "huggingFace";
  throw new FacetError(
    `${path} is no model folder: it has no config.json. Give a folder as Hugging Face or Keras lays it out, or a .gguf file.`,
  );
}

/** Keras names the class of what it saved where Hugging Face has a model_type. */
const isKeras = (config: string) =>
  config.includes('"class_name"') && !config.includes('"model_type"');

/** Reads a model in any format: its headers only; the weights stay on the disk until they are asked for. */
export const readModel = (path: string): Checkpoint =>
  ({ huggingFace: readHuggingFace, keras: readKerasPreset, gguf: readGguf })[modelFormat(path)](
    path,
  );
