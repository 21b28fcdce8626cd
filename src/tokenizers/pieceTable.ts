const BASE = 0x01000193;
/** Gemma's 262,144 pieces are at most some dozens of slots away from their own. */
const CROWDED = 1000;

/** The hash of a string with one more UTF-16 unit: polynomial, so that the hash of any part follows from two prefixes. */
export function extendHash(hash: number, unit: number): number {
  return (Math.imul(hash, BASE) + unit + 1) | 0;
}

/** What a table consists of, flat, so that it can lie in a file. */
export interface PieceArrays {
  /** By slot: an id, or −1. A power of two of them. */
  readonly slots: Int32Array;
  /** By id. */
  readonly hashes: Int32Array;
  /** The piece of an id is `units[ends[id] .. ends[id + 1])`. */
  readonly ends: Uint32Array;
  readonly units: Uint16Array;
}

/**
 * Ids by piece, made to ask for any part of a text at a constant cost: open addressing over a polynomial hash, and a
 * comparison of UTF-16 units, so that equal hashes do no harm. A Map would need a string for each question.
 */
export class PieceTable {
  readonly arrays: PieceArrays;
  /** How many pieces there are. */
  readonly size: number;
  readonly #slots: Int32Array;
  readonly #shift: number;
  readonly #hashes: Int32Array;
  readonly #ends: Uint32Array;
  readonly #units: Uint16Array;
  readonly #powers: Int32Array;
  readonly #longest: number;

  constructor(arrays: PieceArrays) {
    this.arrays = arrays;
    this.#slots = arrays.slots;
    this.#shift = 32 - Math.log2(arrays.slots.length);
    this.#hashes = arrays.hashes;
    this.#ends = arrays.ends;
    this.#units = arrays.units;
    this.size = arrays.hashes.length;
    let longest = 0;
    for (let id = 0; id < this.size; id++) {
      longest = Math.max(longest, this.#ends[id + 1]! - this.#ends[id]!);
    }
    this.#longest = longest;
    this.#powers = new Int32Array(longest + 1).fill(1);
    for (let i = 1; i <= longest; i++) this.#powers[i] = Math.imul(this.#powers[i - 1]!, BASE);
  }

  /** The piece of an id of the table. */
  pieceOf(id: number): string {
    return String.fromCharCode(...this.#units.subarray(this.#ends[id], this.#ends[id + 1]));
  }

  /** The id of a whole string, or −1. */
  idOf(piece: string): number {
    const units = new Uint16Array(piece.length);
    let hash = 0;
    for (let i = 0; i < piece.length; i++) {
      units[i] = piece.charCodeAt(i);
      hash = extendHash(hash, units[i]!);
    }
    return this.#slots[this.slotOf(hash, units, 0, units.length)]!;
  }

  /** The id of `units[start..end)`, or −1. `hashes[i]` is the hash of the first `i` units. */
  find(units: Uint16Array, hashes: Int32Array, start: number, end: number): number {
    const length = end - start;
    if (length > this.#longest) return -1;
    const hash = (hashes[end]! - Math.imul(hashes[start]!, this.#powers[length]!)) | 0;
    return this.#slots[this.slotOf(hash, units, start, end)]!;
  }

  /** The slot that holds the piece with this hash, or the empty one where it would go. */
  slotOf(hash: number, units: Uint16Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#home(hash);
    for (; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot]!;
      if (id < 0 || (this.#hashes[id] === hash && this.#equals(id, units, start, end))) return slot;
    }
  }

  /** How far a slot is from the one that a piece with this hash would like best. */
  distance(hash: number, slot: number): number {
    return (slot - this.#home(hash)) & (this.#slots.length - 1);
  }

  #home(hash: number): number {
    return Math.imul(hash ^ (hash >>> 15), 0x9e3779b1) >>> this.#shift;
  }

  #equals(id: number, units: Uint16Array, start: number, end: number): boolean {
    const from = this.#ends[id]!;
    if (this.#ends[id + 1]! - from !== end - start) return false;
    for (let i = start; i < end; i++) {
      if (this.#units[from + i - start] !== units[i]) return false;
    }
    return true;
  }
}

export interface NewPieceTable {
  readonly table: PieceTable;
  /** The first two ids that have the same piece, if there are any; only one of them can be found. */
  readonly duplicate: readonly [number, number] | undefined;
  /** A piece whose place is so crowded that the pieces must have been chosen to make the table slow; none after it is in the table. */
  readonly crowded: number | undefined;
}

/** The table of pieces whose ids are their places in the list. */
export function pieceTable(pieces: readonly string[]): NewPieceTable {
  const bits = Math.max(4, Math.ceil(Math.log2(pieces.length * 2)));
  const slots = new Int32Array(2 ** bits).fill(-1);
  const hashes = new Int32Array(pieces.length);
  const ends = new Uint32Array(pieces.length + 1);
  const units = new Uint16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let end = 0;
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id]!;
    let hash = 0;
    for (let i = 0; i < piece.length; i++) {
      const unit = piece.charCodeAt(i);
      units[end++] = unit;
      hash = extendHash(hash, unit);
    }
    hashes[id] = hash;
    ends[id + 1] = end;
  }
  const table = new PieceTable({ slots, hashes, ends, units });
  let duplicate: [number, number] | undefined;
  for (let id = 0; id < pieces.length; id++) {
    const slot = table.slotOf(hashes[id]!, units, ends[id]!, ends[id + 1]!);
    if (table.distance(hashes[id]!, slot) > CROWDED) return { table, duplicate, crowded: id };
    if (slots[slot]! >= 0) duplicate ??= [slots[slot]!, id];
    slots[slot] = id;
  }
  return { table, duplicate, crowded: undefined };
}
