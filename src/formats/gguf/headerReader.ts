import { fstatSync } from "node:fs";
import { FacetError } from "../../errors.js";
import { readFully } from "../exactRead.js";

const WINDOW = 1 << 20;
/** Gemma's header has some 10 MB, most of it the vocabulary. */
const MAX_HEADER = 1 << 26;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads little-endian values one after another from the start of an open file, and refuses to go past its end. */
export class HeaderReader {
  /** Bytes read so far: the place of the next one. */
  position = 0;
  readonly size: number;
  readonly path: string;
  readonly #file: number;
  #window = new DataView(new ArrayBuffer(0));
  #windowStart = 0;

  constructor(file: number, path: string) {
    this.#file = file;
    this.path = path;
    this.size = fstatSync(file).size;
  }

  /** Throws unless `count` things of at least `bytes` bytes each can still follow: what a file says may be a lie. */
  require(count: number | bigint, bytes: number, what: string): number {
    // What is rounded here is far beyond the end of any file.
    const end = this.position + Number(count) * bytes;
    if (end > this.size) {
      throw this.error(
        `${what} would go beyond its end. The file is truncated or damaged; get it again`,
      );
    }
    if (end > MAX_HEADER) {
      throw this.error(`${what} would make the header longer than ${MAX_HEADER} bytes`);
    }
    return Number(count);
  }

  uint32(what: string): number {
    return this.take(4, what).getUint32(0, true);
  }

  uint64(what: string): bigint {
    return this.take(8, what).getBigUint64(0, true);
  }

  string(what: string): string {
    const length = this.require(this.uint64(what), 1, what);
    const view = this.take(length, what);
    try {
      return utf8.decode(view);
    } catch {
      throw this.error(`${what} is not valid UTF-8`);
    }
  }

  /** The next `length` bytes. */
  take(length: number, what: string): DataView {
    this.require(length, 1, what);
    const begin = this.position - this.#windowStart;
    this.position += length;
    if (begin + length <= this.#window.byteLength) {
      return new DataView(this.#window.buffer, begin, length);
    }
    this.#windowStart = this.position - length;
    const bytes = Math.min(Math.max(WINDOW, length), this.size - this.#windowStart);
    const window = new Uint8Array(bytes);
    readFully(this.#file, window, this.#windowStart, this.path);
    this.#window = new DataView(window.buffer);
    return new DataView(window.buffer, 0, length);
  }

  error(what: string): FacetError {
    return new FacetError(`${this.path}: ${what}.`);
  }
}
