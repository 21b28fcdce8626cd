import { FacetError } from "../errors.js";
import { type TokenizerModel, type TokenizerParts, Type } from "./tokenizerModel.js";

/** A SentencePiece vocabulary as GGUF's metadata hold it; types are SentencePiece's numbers. */
export interface GgufVocabulary {
  readonly tokens: readonly string[];
  readonly scores: readonly number[];
  readonly types: readonly number[];
  readonly bosId: number;
  readonly eosId: number;
  readonly padId: number;
  readonly addSpacePrefix: boolean;
}

/**
 * The tokenizer that the vocabulary describes. Unused tokens at the end only fill the embedding, and are left out. Text without a token becomes bytes when the vocabulary has tokens for
 * all of them. Throws a FacetError, naming `source`, when the lists are not of one length or an id is outside.
 */
export function partsFromGguf(vocabulary: GgufVocabulary, source: string): TokenizerParts {
  const { tokens, scores, types, addSpacePrefix, ...ids } = vocabulary;
  if (scores.length !== tokens.length || types.length !== tokens.length) {
    throw new FacetError(
      `${source}: the vocabulary has ${tokens.length} tokens, ${scores.length} scores and ${types.length} types.`,
    );
  }
  for (const [role, id] of Object.entries(ids)) {
    if (!Number.isInteger(id) || id < 0 || id >= tokens.length) {
      throw new FacetError(`${source}: ${role} is ${id}, but there are ${tokens.length} tokens.`);
    }
  }
  const used = types.findLastIndex((type) => type !== Type.UNUSED) + 1;
  return {
    pieces: tokens.slice(0, used),
    scores: Float32Array.from(scores.slice(0, used)),
    types: types.slice(0, used) as Type[],
    ...ids,
    unkSurface: " \u2047 ",
    byteFallback: types.includes(Type.BYTE),
    addDummyPrefix: addSpacePrefix,
    removeExtraWhitespaces: false,
    escapeWhitespaces: true,
  };
}

/** The way back. Throws a FacetError for a tokenizer that changes text in a way that GGUF cannot say. */
export function toGgufVocabulary(model: TokenizerModel): GgufVocabulary {
  if (model.removeExtraWhitespaces || !model.escapeWhitespaces) {
    throw new FacetError(
      "The tokenizer changes white space in text, which a GGUF file cannot say. Use a model whose tokenizer leaves text as it is.",
    );
  }
  return {
    tokens: model.pieces,
    scores: [...model.scores],
    types: model.types,
    bosId: model.bosId,
    eosId: model.eosId,
    padId: model.padId,
    addSpacePrefix: model.addDummyPrefix,
  };
}
