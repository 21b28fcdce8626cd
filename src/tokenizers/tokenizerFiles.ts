import { existsSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { readSentencePiece, tokenizerBytes } from "./sentencePiece.js";
import { tokenizerFromJson } from "./tokenizerJson.js";
import type { TokenizerModel } from "./tokenizerModel.js";
import { keptTokenizer } from "./vocabularyCache.js";

/**
 * The tokenizer of a model folder: its tokenizer.model, else its tokenizer.json; undefined when it has neither.
 * `cache` is a folder for what takes long to parse.
 * Throws a FacetError for a damaged one, and for one with more pieces than the model has embeddings.
 */
export function readTokenizer(
  folder: string,
  vocabularySize: number,
  cache?: string,
): TokenizerModel | undefined {
  const sentencePiece = join(folder, "tokenizer.model");
  const json = join(folder, "tokenizer.json");
  const path = existsSync(sentencePiece) ? sentencePiece : json;
  if (!existsSync(path)) return undefined;
  const model =
    path === json ? readTokenizerJson(json, vocabularySize, cache) : readSentencePiece(path, cache);
  if (model.table.size <= vocabularySize) return model;
  throw new FacetError(
    `${path} has ${model.table.size} pieces, but the model's vocabulary is ${vocabularySize}.`,
  );
}

function readTokenizerJson(path: string, vocabularySize: number, cache?: string): TokenizerModel {
  const bytes = tokenizerBytes(path);
  const make = () => tokenizerFromJson(bytes, path, vocabularySize);
  if (cache === undefined) return make();
  return keptTokenizer(cache, bytes, `tokenizer.json up to ${vocabularySize}`, make);
}
