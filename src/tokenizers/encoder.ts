import { Merger } from "./merge.js";
import { hasPair } from "./mergeTables.js";
import { extendHash } from "./pieceTable.js";
import { SegmentCache } from "./segmentCache.js";
import { type TokenizerModel, Type } from "./tokenizerModel.js";
import { isMarker, UserPieces } from "./userPieces.js";
import { normalize, SPACE_SYMBOL } from "./whitespace.js";

const REPLACEMENT = 0xfffd;
const SCRATCH = 4096;

/**
 * Text to ids. The text is cut wherever two neighbouring units occur side by side in no piece that merging can make:
 * no symbol can ever reach across such a place, so the segments merge independently and exactly as the whole would,
 * and the ids of a short segment can be remembered.
 */
export class Encoder {
  readonly #model: TokenizerModel;
  readonly #merger: Merger;
  readonly #cache = new SegmentCache();
  readonly #all: UserPieces;
  readonly #ordinary: UserPieces;
  readonly #space: number;
  readonly #pairs: Uint32Array;
  // The same for ASCII, which fits into the processor's nearest cache; a space stands for what it is read as.
  readonly #asciiPairs = new Uint8Array(128 * 128);
  // The segment being read, and the hashes of its prefixes.
  #units = new Uint16Array(SCRATCH);
  #hashes = new Int32Array(SCRATCH + 1);

  constructor(model: TokenizerModel) {
    this.#model = model;
    this.#space = model.escapeWhitespaces ? SPACE_SYMBOL : 0x20;
    const user: [id: number, piece: string][] = [];
    for (const [id, type] of model.types.entries()) {
      if (type === Type.USER_DEFINED) user.push([id, model.table.pieceOf(id)]);
    }
    this.#all = new UserPieces(user);
    this.#ordinary = new UserPieces(user.filter(([, piece]) => !isMarker(piece)));
    this.#merger = new Merger(model.table, model.merges.ranks);
    this.#pairs = model.merges.pairs;
    const read = (unit: number) => (unit === 0x20 ? this.#space : unit);
    for (let i = 0; i < this.#asciiPairs.length; i++) {
      this.#asciiPairs[i] = hasPair(this.#pairs, read(i >> 7), read(i & 127)) ? 1 : 0;
    }
  }

  /** The ids of a text. With `markers` false, user-defined pieces that are markers are read as the text they are. */
  encode(text: string, markers: boolean): number[] {
    const ids: number[] = [];
    const normalized = normalize(text, this.#model);
    const user = markers ? this.#all : this.#ordinary;
    let length = 0;
    let before = 0;
    for (let i = 0; i < normalized.length; ) {
      const userId = user.match(normalized, i, this.#space);
      if (userId >= 0) {
        this.#encodeSegment(length, ids);
        length = 0;
        ids.push(userId);
        i += user.length;
        continue;
      }
      const unit = normalized.charCodeAt(i);
      if (unit < 128 && before < 128) {
        if (length > 0 && this.#asciiPairs[(before << 7) | unit] === 0) {
          this.#encodeSegment(length, ids);
          length = 0;
        }
        if (length + 2 > this.#units.length) this.#grow();
        this.#append(unit === 0x20 ? this.#space : unit, length++);
        before = unit;
        i += 1;
        continue;
      }
      let read = unit === 0x20 ? this.#space : unit;
      let low = 0;
      if (unit >= 0xd800 && unit < 0xe000) {
        low = unit < 0xdc00 ? normalized.charCodeAt(i + 1) : 0;
        if (!(low >= 0xdc00 && low < 0xe000)) {
          // Half a character, which UTF-8 cannot hold.
          read = REPLACEMENT;
          low = 0;
        }
      }
      if (length > 0 && !hasPair(this.#pairs, before === 0x20 ? this.#space : before, read)) {
        this.#encodeSegment(length, ids);
        length = 0;
      }
      if (length + 2 > this.#units.length) this.#grow();
      this.#append(read, length++);
      if (low !== 0) this.#append(low, length++);
      before = low === 0 ? read : low;
      i += low === 0 ? 1 : 2;
    }
    this.#encodeSegment(length, ids);
    if (this.#units.length > SCRATCH) {
      this.#units = new Uint16Array(SCRATCH);
      this.#hashes = new Int32Array(SCRATCH + 1);
      this.#merger.trim(SCRATCH);
    }
    return ids;
  }

  #append(unit: number, at: number): void {
    this.#units[at] = unit;
    this.#hashes[at + 1] = extendHash(this.#hashes[at]!, unit);
  }

  #grow(): void {
    const units = new Uint16Array(this.#units.length * 2);
    const hashes = new Int32Array(units.length + 1);
    units.set(this.#units);
    hashes.set(this.#hashes);
    this.#units = units;
    this.#hashes = hashes;
  }

  #encodeSegment(length: number, ids: number[]): void {
    if (length === 0) return;
    const hash = this.#hashes[length]!;
    if (this.#cache.append(this.#units, length, hash, ids, this.#model.unkId)) return;
    const fresh: number[] = [];
    this.#merger.merge(this.#units, this.#hashes, length, (id, start, end) => {
      if (id >= 0) fresh.push(id);
      else this.#appendUnknown(start, end, fresh);
    });
    this.#cache.store(this.#units, length, hash, fresh);
    for (const id of fresh) pushFused(ids, id, this.#model.unkId);
  }

  #appendUnknown(start: number, end: number, ids: number[]): void {
    const { byteIds, unkId } = this.#model;
    if (byteIds === undefined) {
      pushFused(ids, unkId, unkId);
      return;
    }
    const character = String.fromCharCode(...this.#units.subarray(start, end));
    for (const byte of new TextEncoder().encode(character)) ids.push(byteIds[byte]!);
  }
}

// A run of unknown characters is one unknown id.
function pushFused(ids: number[], id: number, unkId: number): void {
  if (id !== unkId || ids.at(-1) !== unkId) ids.push(id);
}
