import { create, fromBinary } from "@bufbuild/protobuf";
import { FacetError } from "../errors.js";
import {
  ModelProtoSchema,
  NormalizerSpecSchema,
  type SentencePiece,
  TrainerSpec_ModelType,
  TrainerSpecSchema,
} from "./sentencepiece_pb.js";
import {
  type TokenizerModel,
  type TokenizerParts,
  Type,
  tokenizerModel,
} from "./tokenizerModel.js";

/**
 * Reads a `tokenizer.model`. `source` names it in messages.
 * Throws a FacetError for a damaged file, and for what Facet does not implement: models other than BPE, a compiled
 * character map, white space as suffix, unused pieces.
 */
export function readModel(bytes: Uint8Array, source: string): TokenizerModel {
  const bad = (what: string) => new FacetError(`${source}: ${what}`);
  const proto = parse(bytes, source);
  const trainer = proto.trainerSpec ?? create(TrainerSpecSchema);
  const normalizer = proto.normalizerSpec ?? create(NormalizerSpecSchema);
  if (proto.pieces.length === 0) {
    throw bad("no pieces in it, so this is not a SentencePiece model. Use the tokenizer.model.");
  }
  if (trainer.modelType !== TrainerSpec_ModelType.BPE) {
    const type = TrainerSpec_ModelType[trainer.modelType];
    throw bad(`a ${type} model. Facet reads SentencePiece BPE models, which Gemma uses.`);
  }
  for (const spec of [normalizer, proto.denormalizerSpec]) {
    if (spec !== undefined && spec.precompiledCharsmap.length > 0) {
      throw bad("it normalizes text by a compiled character map, which Facet does not implement.");
    }
  }
  if (trainer.treatWhitespaceAsSuffix) {
    throw bad("it treats white space as a suffix, which Facet does not implement.");
  }

  const pieces = decodePieces(proto.pieces, bad);
  const scores = Float32Array.from(proto.pieces, (piece) => piece.score);
  const types = proto.pieces.map((piece) => piece.type);
  const control = (role: string, piece: string): number => {
    const id = pieces.indexOf(piece);
    if (types[id] !== Type.CONTROL) {
      throw bad(`its ${role} piece "${piece}" is not among its control pieces.`);
    }
    return id;
  };
  const parts: TokenizerParts = {
    pieces,
    scores,
    types,
    padId: control("padding", trainer.padPiece),
    eosId: control("end", trainer.eosPiece),
    bosId: control("start", trainer.bosPiece),
    unkSurface: trainer.unkSurface,
    byteFallback: trainer.byteFallback,
    addDummyPrefix: normalizer.addDummyPrefix,
    removeExtraWhitespaces: normalizer.removeExtraWhitespaces,
    escapeWhitespaces: normalizer.escapeWhitespaces,
  };
  return tokenizerModel(parts, source);
}

function parse(bytes: Uint8Array, source: string) {
  try {
    // A plain view, because a Buffer's subarray, which the parser takes of every piece, is slow.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return fromBinary(ModelProtoSchema, plain, { readUnknownFields: false });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FacetError(
      `${source}: not a SentencePiece model, or damaged (${reason}). Download it again.`,
    );
  }
}

type Bad = (what: string) => FacetError;

// All pieces are decoded at once, which is several times faster. Each begins with a lead byte, so that two halves of
// a character in neighbouring pieces do not pass as whole.
function decodePieces(pieces: readonly SentencePiece[], bad: Bad): string[] {
  const all = new Uint8Array(pieces.reduce((sum, { piece }) => sum + piece.length, 0));
  const ends: number[] = [];
  let byte = 0;
  let unit = 0;
  for (const [id, { piece }] of pieces.entries()) {
    if (piece.length === 0) throw bad(`piece ${id} is empty.`);
    if (isContinuation(piece[0]!)) throw bad(`piece ${id} is not valid UTF-8.`);
    for (const b of piece) {
      all[byte++] = b;
      if (!isContinuation(b)) unit += b >= 0xf0 ? 2 : 1;
    }
    ends.push(unit);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(all);
  } catch {
    throw bad("a piece is not valid UTF-8. The file is damaged; download it again.");
  }
  return ends.map((end, id) => text.slice(ends[id - 1] ?? 0, end));
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
