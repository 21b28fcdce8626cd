import { create, fromBinary } from "@bufbuild/protobuf";
import { FacetError } from "../errors.js";
import { PieceTable } from "./pieceTable.js";
import {
  ModelProtoSchema,
  NormalizerSpecSchema,
  type SentencePiece,
  TrainerSpec_ModelType,
  TrainerSpecSchema,
  SentencePiece_Type as Type,
} from "./sentencepiece_pb.js";

export { Type };

/** A SentencePiece BPE model whose parts have been checked. Index = id in `pieces`, `scores` and `types`. */
export interface Model {
  readonly pieces: readonly string[];
  readonly table: PieceTable;
  readonly scores: Float32Array;
  readonly types: readonly Type[];
  readonly padId: number;
  readonly eosId: number;
  readonly bosId: number;
  readonly unkId: number;
  /** What the unknown piece decodes to. */
  readonly unkSurface: string;
  /** The id of each byte's piece, 256 of them; undefined when the model has no byte fallback. */
  readonly byteIds: readonly number[] | undefined;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

/** The byte that a piece such as `<0x0A>` stands for, whatever its type. */
export function byteOfPiece(piece: string): number | undefined {
  const hex = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}

/**
 * Reads a `tokenizer.model`. `source` names it in messages.
 * Throws a FacetError for a damaged file, and for what Facet does not implement: models other than BPE, a compiled
 * character map, white space as suffix, unused pieces.
 */
export function readModel(bytes: Uint8Array, source: string): Model {
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
  const quoted = (id: number) => `piece ${id} (${JSON.stringify(pieces[id])})`;
  const table = new PieceTable(pieces);
  if (table.duplicate) throw bad(`${table.duplicate.map(quoted).join(" and ")} are the same.`);
  const scores = Float32Array.from(proto.pieces, (piece) => piece.score);
  const types = proto.pieces.map((piece) => piece.type);
  const { removeExtraWhitespaces } = normalizer;
  for (const [id, type] of types.entries()) {
    if (Number.isNaN(scores[id])) throw bad(`${quoted(id)} has no valid score.`);
    if (type === Type.UNUSED || type === Type.TYPE_UNSPECIFIED) {
      throw bad(`${quoted(id)} is of type ${Type[type]}, which Facet does not implement.`);
    }
    if (type === Type.USER_DEFINED && removeExtraWhitespaces && pieces[id]!.includes(" ")) {
      throw bad(
        `the user-defined ${quoted(id)} holds a space while remove_extra_whitespaces is set, which Facet does not implement.`,
      );
    }
  }

  const unkId = types.indexOf(Type.UNKNOWN);
  if (unkId < 0 || types.indexOf(Type.UNKNOWN, unkId + 1) >= 0) {
    throw bad("it must have exactly one piece of type UNKNOWN.");
  }
  const control = (role: string, piece: string): number => {
    const id = table.idOf(piece);
    if (types[id] !== Type.CONTROL) {
      throw bad(`its ${role} piece "${piece}" is not among its control pieces.`);
    }
    return id;
  };
  return {
    pieces,
    table,
    scores,
    types,
    padId: control("padding", trainer.padPiece),
    eosId: control("end", trainer.eosPiece),
    bosId: control("start", trainer.bosPiece),
    unkId,
    unkSurface: trainer.unkSurface,
    byteIds: bytePieces(pieces, types, trainer.byteFallback, bad),
    addDummyPrefix: normalizer.addDummyPrefix,
    removeExtraWhitespaces,
    escapeWhitespaces: normalizer.escapeWhitespaces,
  };
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

function bytePieces(
  pieces: readonly string[],
  types: readonly Type[],
  byteFallback: boolean,
  bad: Bad,
): number[] | undefined {
  const ids: number[] = new Array(256).fill(-1);
  for (const [id, type] of types.entries()) {
    if (type !== Type.BYTE) continue;
    const byte = byteOfPiece(pieces[id]!);
    if (byte === undefined)
      throw bad(`the byte piece ${id} is "${pieces[id]}", not <0x00>…<0xFF>.`);
    if (!byteFallback) throw bad(`it has the byte piece ${id} but byte_fallback is off.`);
    ids[byte] = id;
  }
  if (!byteFallback) return undefined;
  const missing = ids.indexOf(-1);
  if (missing >= 0) throw bad(`byte_fallback is on, but byte ${missing} has no piece.`);
  return ids;
}
