const SET_BITS = 17;
/** Entries of a set: a new one takes the place of the one before, which takes that of the last. */
const WAYS = 2;
const KEY = 16;
const VALUE = 6;
const ENTRIES = WAYS << SET_BITS;

/** The ids of short segments seen before. */
export class SegmentCache {
  readonly #keys = new Uint16Array(KEY * ENTRIES);
  readonly #values = new Int32Array(VALUE * ENTRIES);
  readonly #keyLengths = new Uint8Array(ENTRIES);
  readonly #valueLengths = new Uint8Array(ENTRIES);

  /** Appends the ids of `units[0..length)` if they are known, an unknown id after an unknown id only once. */
  append(units: Uint16Array, length: number, hash: number, ids: number[], unkId: number): boolean {
    const entry = this.#find(units, length, setOf(hash) * WAYS);
    if (entry < 0) return false;
    const value = entry * VALUE;
    const end = value + this.#valueLengths[entry]!;
    const fused = this.#values[value] === unkId && ids.length > 0 && ids[ids.length - 1] === unkId;
    for (let i = fused ? value + 1 : value; i < end; i++) ids.push(this.#values[i]!);
    return true;
  }

  /** Remembers the ids of `units[0..length)`, if both are short. */
  store(units: Uint16Array, length: number, hash: number, ids: readonly number[]): void {
    if (length > KEY || ids.length > VALUE) return;
    const entry = setOf(hash) * WAYS;
    this.#keys.copyWithin((entry + 1) * KEY, entry * KEY, (entry + WAYS - 1) * KEY);
    this.#values.copyWithin((entry + 1) * VALUE, entry * VALUE, (entry + WAYS - 1) * VALUE);
    this.#keyLengths.copyWithin(entry + 1, entry, entry + WAYS - 1);
    this.#valueLengths.copyWithin(entry + 1, entry, entry + WAYS - 1);
    for (let i = 0; i < length; i++) this.#keys[entry * KEY + i] = units[i]!;
    for (let i = 0; i < ids.length; i++) this.#values[entry * VALUE + i] = ids[i]!;
    this.#keyLengths[entry] = length;
    this.#valueLengths[entry] = ids.length;
  }

  #find(units: Uint16Array, length: number, first: number): number {
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.#keyLengths[entry] !== length) continue;
      const key = entry * KEY;
      let i = 0;
      while (i < length && this.#keys[key + i] === units[i]) i += 1;
      if (i === length) return entry;
    }
    return -1;
  }
}

function setOf(hash: number): number {
  return Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> (32 - SET_BITS);
}
