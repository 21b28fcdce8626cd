import { FacetError } from "../errors.js";
import { type MergeTables, mergeTables } from "./mergeTables.js";
import { type PieceTable, pieceTable } from "./pieceTable.js";
import { SentencePiece_Type as Type } from "./sentencepiece_pb.js";

export { Type };

/**
 * A SentencePiece BPE tokenizer as data, whatever file it came from. Index = id in `pieces`, `scores` and `types`.
 */
export interface TokenizerParts {
  readonly pieces: readonly string[];
  readonly scores: Float32Array;
  readonly types: readonly Type[];
  readonly padId: number;
  readonly eosId: number;
  readonly bosId: number;
  /** What the unknown piece decodes to. */
  readonly unkSurface: string;
  /** Whether text without a piece becomes one piece per byte. */
  readonly byteFallback: boolean;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

/** A tokenizer whose parts have been checked, with its look-up tables. */
export interface TokenizerModel extends TokenizerParts {
  readonly table: PieceTable;
  readonly merges: MergeTables;
  readonly unkId: number;
  /** The id of each byte's piece, 256 of them; undefined when the model has no byte fallback. */
  readonly byteIds: readonly number[] | undefined;
}

/** The byte that a piece such as `<0x0A>` stands for, whatever its type. */
export function byteOfPiece(piece: string): number | undefined {
  const hex = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}

/** Gemma's longest pieces have some thirty; what is done with all parts of a piece takes the square of its length. */
const LONGEST_PIECE = 1000;

/**
 * Checks a tokenizer's parts and makes its tables. `source` names the file in messages.
 * Throws a FacetError for parts that contradict each other, and for unused pieces, which Facet does not implement.
 */
export function tokenizerModel(parts: TokenizerParts, source: string): TokenizerModel {
  const bad = (what: string) => new FacetError(`${source}: ${what}`);
  const { pieces, scores, types, byteFallback, removeExtraWhitespaces } = parts;
  const quoted = (id: number) => `piece ${id} (${JSON.stringify(pieces[id])})`;
  const long = pieces.findIndex((piece) => piece.length > LONGEST_PIECE);
  if (long >= 0) throw bad(`piece ${long} is longer than ${LONGEST_PIECE} letters.`);
  const { table, crowded, duplicate } = pieceTable(pieces);
  if (crowded !== undefined) {
    throw bad(`${quoted(crowded)} and too many others have the same hash. Get the file again.`);
  }
  if (duplicate) throw bad(`${duplicate.map(quoted).join(" and ")} are the same.`);
  for (const [id, type] of types.entries()) {
    if (Number.isNaN(scores[id])) throw bad(`${quoted(id)} has no valid score.`);
    if (type === Type.UNUSED || type === Type.TYPE_UNSPECIFIED || Type[type] === undefined) {
      throw bad(`${quoted(id)} is of type ${Type[type] ?? type}, which Facet does not implement.`);
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
  const byteIds = bytePieces(pieces, types, byteFallback, bad);
  return { ...parts, table, merges: mergeTables(table, scores, types), unkId, byteIds };
}

type Bad = (what: string) => FacetError;

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
