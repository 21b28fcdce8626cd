import type { PieceTable } from "./pieceTable.js";
import { SentencePiece_Type as Type } from "./sentencepiece_pb.js";

/** What merging asks of a vocabulary, flat, so that it can lie in a file. */
export interface MergeTables {
  /** By id: pieces of equal score share a rank, the best is 0; −1 for pieces that merging does not make. */
  readonly ranks: Int32Array;
  /** A bit for every (hashed) pair of neighbouring units in a piece that merging can make. */
  readonly pairs: Uint32Array;
}

const PAIR_BITS = 22;

/**
 * Merging makes ordinary pieces only. It never makes a user-defined one: where one could begin, it has been matched
 * as a unit.
 */
export function mergeTables(
  table: PieceTable,
  scores: Float32Array,
  types: readonly Type[],
): MergeTables {
  const { ends, units } = table.arrays;
  const pairs = new Uint32Array(2 ** (PAIR_BITS - 5));
  for (let id = 0; id < table.size; id++) {
    if (types[id] !== Type.NORMAL) continue;
    for (let i = ends[id]! + 1; i < ends[id + 1]!; i++) {
      const bit = pairBit(units[i - 1]!, units[i]!);
      pairs[bit >>> 5]! |= 1 << (bit & 31);
    }
  }
  return { ranks: ranksOf(scores, types), pairs };
}

/** Whether these units can be neighbours in a piece that merging makes; a collision of hashes may say so falsely. */
export function hasPair(pairs: Uint32Array, left: number, right: number): boolean {
  const bit = pairBit(left, right);
  return ((pairs[bit >>> 5]! >>> (bit & 31)) & 1) === 1;
}

function pairBit(left: number, right: number): number {
  return Math.imul((left << 16) | right, 0x9e3779b1) >>> (32 - PAIR_BITS);
}

function ranksOf(scores: Float32Array, types: readonly Type[]): Int32Array {
  // Equal scores share a rank, so sorting numbers is enough; that is much faster than sorting ids.
  const sorted = scores.filter((_, id) => types[id] === Type.NORMAL).sort();
  const ranks = new Int32Array(scores.length).fill(-1);
  const byScore = new Map<number, number>();
  for (let i = sorted.length - 1; i >= 0; i--) {
    if (!byScore.has(sorted[i]!)) byScore.set(sorted[i]!, byScore.size);
  }
  for (let id = 0; id < scores.length; id++) {
    if (types[id] === Type.NORMAL) ranks[id] = byScore.get(scores[id]!)!;
  }
  return ranks;
}
