import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { openCheckpoint } from "../formats/checkpoint.js";
import { storedTensor } from "../formats/safetensors.js";
import { readStrictJson } from "../formats/strictJson.js";
import { readGemmaConfig } from "../models/gemma/config.js";
import { bindWeights } from "../models/gemma/model.js";
import { textTensors } from "../models/gemma/textTensors.js";
import { readSentencePiece } from "../tokenizers/sentencePiece.js";
import type { Checkpoint } from "./checkpoint.js";

/** Reads a folder as Hugging Face lays it out. Throws a FacetError for anything missing, unknown or of the wrong shape. */
export function readHuggingFace(folder: string): Checkpoint {
  const config = readGemmaConfig(folder);
  const bound = bindWeights(config, textTensors(config, openCheckpoint(folder)), folder);
  const tokenizer = join(folder, "tokenizer.model");
  return {
    name: basename(folder),
    config,
    tensors: new Map([...bound].map(([name, info]) => [name, storedTensor(info)])),
    tokenizer: existsSync(tokenizer) ? readSentencePiece(tokenizer) : undefined,
    chatTemplate: readChatTemplate(folder),
  };
}

/** Transformers writes the template to a file of its own; older versions wrote it into tokenizer_config.json. */
function readChatTemplate(folder: string): string | undefined {
  const own = join(folder, "chat_template.jinja");
  if (existsSync(own)) return readFileSync(own, "utf8");
  const config = join(folder, "tokenizer_config.json");
  if (!existsSync(config)) return undefined;
  const template = (readStrictJson(config) as { chat_template?: unknown } | null)?.chat_template;
  return typeof template === "string" ? template : undefined;
}
