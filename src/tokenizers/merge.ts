import { FacetError } from "../errors.js";
import type { PieceTable } from "./pieceTable.js";

const LEFT = 2 ** 31;
/** Up to so many units, looking at every pair again for each join is faster than a heap. */
const SHORT = 48;
const NO_PAIR = 0x7fffffff;
const UNJOINED = -1;

/**
 * Byte-pair merging as SentencePiece does it: of all neighbours that together are a piece, the pair of the best score
 * is joined first, the leftmost of equals; any two neighbours that spell a piece may join (bpe_model.cc).
 */
export class Merger {
  readonly #table: PieceTable;
  // By id: 0 is the best score; −1 says that merging does not make this piece.
  readonly #ranks: Int32Array;
  // By symbol, a symbol being the index of its first unit. `#pair` is the piece that it makes with the next one, or −1.
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #pair = new Int32Array(0);
  #id = new Int32Array(0);
  // A binary heap of rank · 2³¹ + symbol.
  readonly #heap: number[] = [];
  // Of a short text, by symbol in order: where it begins, and rank and piece of the pair with the next one.
  readonly #starts = new Int32Array(SHORT + 1);
  readonly #pairRanks = new Int32Array(SHORT);
  readonly #pairIds = new Int32Array(SHORT);
  // The piece that has been made of it, or −1.
  readonly #joins = new Int32Array(SHORT);

  constructor(table: PieceTable, ranks: Int32Array) {
    this.#table = table;
    this.#ranks = ranks;
  }

  /**
   * Merges the first `length` units, whose prefixes have these hashes, and calls `emit` for every symbol left:
   * its id, or −1 where no piece has that character, and where it begins and ends.
   */
  merge(
    units: Uint16Array,
    hashes: Int32Array,
    length: number,
    emit: (id: number, start: number, end: number) => void,
  ): void {
    if (length <= SHORT) {
      this.#mergeShort(units, hashes, length, emit);
      return;
    }
    if (length >= LEFT) throw new FacetError("A text without a break is too long to tokenize.");
    if (this.#next.length < length) this.#reserve(length);
    const next = this.#next;
    const previous = this.#previous;
    const id = this.#id;
    for (let start = 0, before = -1; start < length; ) {
      const unit = units[start]!;
      const end = start + (unit >= 0xd800 && unit < 0xdc00 ? 2 : 1);
      next[start] = end;
      previous[start] = before;
      id[start] = UNJOINED;
      before = start;
      start = end;
    }
    for (let s = 0; s < length; s = next[s]!) this.#offer(s, units, hashes, length);

    while (this.#heap.length > 0) {
      const key = this.#pop();
      const left = key % LEFT;
      const joined = this.#pair[left]!;
      // The pair is gone when one of its symbols has joined another since.
      if (joined < 0 || this.#ranks[joined] !== (key - left) / LEFT) continue;
      const right = next[left]!;
      const after = next[right]!;
      next[left] = after;
      if (after < length) previous[after] = left;
      this.#pair[right] = -1;
      id[left] = joined;
      if (previous[left]! >= 0) this.#offer(previous[left]!, units, hashes, length);
      this.#offer(left, units, hashes, length);
    }

    for (let s = 0; s < length; s = next[s]!) {
      const joined = id[s]!;
      emit(joined >= 0 ? joined : this.#character(units, hashes, s, next[s]!), s, next[s]!);
    }
  }

  #mergeShort(
    units: Uint16Array,
    hashes: Int32Array,
    length: number,
    emit: (id: number, start: number, end: number) => void,
  ): void {
    const [starts, ranks, ids] = [this.#starts, this.#pairRanks, this.#pairIds];
    const joins = this.#joins;
    let count = 0;
    for (let start = 0; start < length; count++) {
      starts[count] = start;
      joins[count] = UNJOINED;
      const unit = units[start]!;
      start += unit >= 0xd800 && unit < 0xdc00 ? 2 : 1;
    }
    starts[count] = length;
    for (let i = 0; i + 1 < count; i++) this.#offerShort(i, units, hashes);
    while (count > 1) {
      let best = 0;
      for (let i = 1; i + 1 < count; i++) if (ranks[i]! < ranks[best]!) best = i;
      if (ranks[best] === NO_PAIR) break;
      joins[best] = ids[best]!;
      count -= 1;
      for (let i = best + 1; i < count; i++) {
        starts[i] = starts[i + 1]!;
        joins[i] = joins[i + 1]!;
        ranks[i] = ranks[i + 1]!;
        ids[i] = ids[i + 1]!;
      }
      starts[count] = length;
      if (best > 0) this.#offerShort(best - 1, units, hashes);
      if (best + 1 < count) this.#offerShort(best, units, hashes);
    }
    for (let i = 0; i < count; i++) {
      const [start, end] = [starts[i]!, starts[i + 1]!];
      emit(joins[i]! >= 0 ? joins[i]! : this.#character(units, hashes, start, end), start, end);
    }
  }

  #offerShort(i: number, units: Uint16Array, hashes: Int32Array): void {
    const joined = this.#table.find(units, hashes, this.#starts[i]!, this.#starts[i + 2]!);
    const rank = joined < 0 ? -1 : this.#ranks[joined]!;
    this.#pairRanks[i] = rank < 0 ? NO_PAIR : rank;
    this.#pairIds[i] = joined;
  }

  /** The id of a symbol that nothing has joined, or −1. */
  #character(units: Uint16Array, hashes: Int32Array, start: number, end: number): number {
    const id = this.#table.find(units, hashes, start, end);
    return id >= 0 && this.#ranks[id]! >= 0 ? id : -1;
  }

  /** Gives memory back after a long text. */
  trim(length: number): void {
    if (this.#next.length > length) this.#reserve(length);
  }

  #offer(symbol: number, units: Uint16Array, hashes: Int32Array, length: number): void {
    const right = this.#next[symbol]!;
    this.#pair[symbol] = -1;
    if (right >= length) return;
    const joined = this.#table.find(units, hashes, symbol, this.#next[right]!);
    if (joined < 0 || this.#ranks[joined]! < 0) return;
    this.#pair[symbol] = joined;
    this.#push(this.#ranks[joined]! * LEFT + symbol);
  }

  #reserve(length: number): void {
    this.#next = new Int32Array(length);
    this.#previous = new Int32Array(length);
    this.#pair = new Int32Array(length);
    this.#id = new Int32Array(length);
  }

  #push(key: number): void {
    const heap = this.#heap;
    let at = heap.push(key) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= key) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = key;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return top;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child += 1;
      if (heap[child]! >= last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
