import { existsSync } from "node:fs";
import { join } from "node:path";
import { type GgufFileType, writeGguf } from "../src/checkpoints/gguf.js";
import { readModel } from "../src/checkpoints/modelFiles.js";
import { readSentencePiece } from "../src/tokenizers/sentencePiece.js";
import { cacheFolder, sharedPaths } from "./places.js";
import { randomCheckpoint } from "./randomCheckpoint.js";
import { smallConfig } from "./workloads/step.js";

/** A model of the shape of `smallConfig` with random weights, made the first time. */
export async function smallFolder(): Promise<string> {
  const folder = join(cacheFolder(), "small");
  await randomCheckpoint(folder, smallConfig, "float32");
  return folder;
}

/** The same model as a GGUF file, with Gemma's tokenizer, which llama.cpp asks for. */
export async function smallGguf(type: GgufFileType): Promise<string> {
  const path = join(cacheFolder(), `small-${type}.gguf`);
  if (existsSync(path)) return path;
  const tokenizer = readSentencePiece(sharedPaths.gemmaTokenizer);
  writeGguf(path, { ...readModel(await smallFolder()), tokenizer }, { type });
  return path;
}
