import { existsSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { readSentencePiece, tokenizerBytes } from "./sentencePiece.js";
import { tokenizerFromJson } from "./tokenizerJson.js";
import type { TokenizerModel } from "./tokenizerModel.js";

/**
 * The tokenizer of a model folder: its tokenizer.model, else its tokenizer.json; undefined when it has neither.
 * Throws a FacetError for a damaged one, and for one with more pieces than the model has embeddings.
 */
export function readTokenizer(folder: string, vocabularySize: number): TokenizerModel | undefined {
  const sentencePiece = join(folder, "tokenizer.model");
  const json = join(folder, "tokenizer.json");
  const path = existsSync(sentencePiece) ? sentencePiece : json;
  if (!existsSync(path)) return undefined;
  const model =
    path === json
      ? tokenizerFromJson(tokenizerBytes(json), json, vocabularySize)
      : readSentencePiece(path);
  if (model.pieces.length <= vocabularySize) return model;
  throw new FacetError(
    `${path} has ${model.pieces.length} pieces, but the model's vocabulary is ${vocabularySize}.`,
  );
}
