const SLOT_BITS = 17;
const KEY = 16;
const VALUE = 6;

/** The ids of short segments seen before. Direct-mapped: a new segment takes the place of the one in its slot. */
export class SegmentCache {
  readonly #keys = new Uint16Array(KEY << SLOT_BITS);
  readonly #values = new Int32Array(VALUE << SLOT_BITS);
  readonly #keyLengths = new Uint8Array(1 << SLOT_BITS);
  readonly #valueLengths = new Uint8Array(1 << SLOT_BITS);

  /** Appends the ids of `units[0..length)` if they are known, an unknown id after an unknown id only once. */
  append(units: Uint16Array, length: number, hash: number, ids: number[], unkId: number): boolean {
    const slot = slotOf(hash);
    if (this.#keyLengths[slot] !== length) return false;
    const key = slot * KEY;
    for (let i = 0; i < length; i++) {
      if (this.#keys[key + i] !== units[i]) return false;
    }
    const value = slot * VALUE;
    const end = value + this.#valueLengths[slot]!;
    const fused = this.#values[value] === unkId && ids.length > 0 && ids[ids.length - 1] === unkId;
    for (let i = fused ? value + 1 : value; i < end; i++) ids.push(this.#values[i]!);
    return true;
  }

  /** Remembers the ids of `units[0..length)`, if both are short. */
  store(units: Uint16Array, length: number, hash: number, ids: readonly number[]): void {
    if (length > KEY || ids.length > VALUE) return;
    const slot = slotOf(hash);
    this.#keys.set(units.subarray(0, length), slot * KEY);
    this.#values.set(ids, slot * VALUE);
    this.#keyLengths[slot] = length;
    this.#valueLengths[slot] = ids.length;
  }
}

function slotOf(hash: number): number {
  return Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> (32 - SLOT_BITS);
}
