import { readFileSync, statSync } from "node:fs";
import { FacetError } from "../errors.js";
import { decode, pieceOf } from "./decode.js";
import { Encoder } from "./encoder.js";
import { readModel } from "./modelFile.js";
import type { Tokenizer } from "./tokenizer.js";
import type { TokenizerModel } from "./tokenizerModel.js";
import { keptTokenizer } from "./vocabularyCache.js";
import { vocabularyBytes } from "./vocabularyFile.js";

/**
 * Reads a `tokenizer.model` (Keras presets: `vocabulary.spm`). `cache` is a folder for what takes long to parse.
 * Throws a FacetError when it cannot be read, is damaged, or is of a kind that Facet does not implement.
 */
export const loadSentencePiece = (path: string, cache?: string): Tokenizer =>
  tokenizerOf(readSentencePiece(path, cache));

/** As `loadSentencePiece`, as data. */
export function readSentencePiece(path: string, cache?: string): TokenizerModel {
  const bytes = tokenizerBytes(path);
  const make = () => readModel(bytes, path);
  return cache === undefined ? make() : keptTokenizer(cache, bytes, "SentencePiece", make);
}

/** Gemma's tokenizer.json has 33 million bytes, its tokenizer.model 5; in memory they take up to fifty times as many. */
const MAX_BYTES = 1 << 26;

/** The bytes of a tokenizer's file. Throws a FacetError when it cannot be read, or is larger than any Gemma's. */
export function tokenizerBytes(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) {
      throw new FacetError(
        `${path} has ${size} bytes; no Gemma's tokenizer has over ${MAX_BYTES}.`,
      );
    }
    return readFileSync(path);
  } catch (error) {
    if (error instanceof FacetError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new FacetError(`Cannot read the tokenizer ${path}: ${reason}.`);
  }
}

/** As `loadSentencePiece`, from the file's bytes; `source` names them in error messages. */
export const sentencePieceFromBytes = (bytes: Uint8Array, source: string): Tokenizer =>
  tokenizerOf(readModel(bytes, source));

/** The tokenizer that data describe. */
export function tokenizerOf(model: TokenizerModel): Tokenizer {
  const encoder = new Encoder(model);
  return {
    vocabularySize: model.table.size,
    padId: model.padId,
    eosId: model.eosId,
    bosId: model.bosId,
    unkId: model.unkId,
    encode: (text) => encoder.encode(text, true),
    encodeOrdinary: (text) => encoder.encode(text, false),
    decode: (ids) => decode(model, ids),
    pieceToId: (piece) => {
      const id = model.table.idOf(piece);
      return id < 0 ? undefined : id;
    },
    idToPiece: (id) => pieceOf(model, id),
    vocabulary: () => vocabularyBytes(model),
  };
}
