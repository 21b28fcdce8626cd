import { fstatSync } from "node:fs";
import { FacetError } from "../../errors.js";
import { readFully } from "../exactRead.js";
import { decodeUtf8 } from "../strictJson.js";

/** A file of Keras has its headers read once or twice; one whose parts lie over each other could have them read forever. */
const READS = { fixed: 1 << 16, perByte: 4 };

/** A file that may be damaged: nothing is read outside of it, and no length or address in it is believed unchecked. */
export class FileView {
  readonly size: number;
  #left: number;

  constructor(
    readonly handle: number,
    /** For messages. */
    readonly file: string,
  ) {
    this.size = fstatSync(handle).size;
    this.#left = READS.fixed + READS.perByte * this.size;
  }

  /** Throws when more is done with the file than its size justifies. */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw this.error("its parts lie over each other");
  }

  bytes(address: number, length: number): DataView {
    if (address + length > this.size) {
      throw this.error(
        `it should go on to byte ${address + length}, but has ${this.size}. It is truncated or damaged; get it again`,
      );
    }
    this.spend(length);
    const bytes = new Uint8Array(length);
    readFully(this.handle, bytes, address, this.file);
    return new DataView(bytes.buffer);
  }

  field(view: DataView, from: number, length: number, name: string): DataView {
    if (from + length <= view.byteLength) {
      return new DataView(view.buffer, view.byteOffset + from, length);
    }
    throw this.error(`a part of ${name} is cut off`);
  }

  address(view: DataView, at: number): number {
    const value = at + 8 <= view.byteLength ? view.getBigUint64(at, true) : BigInt(this.size) + 1n;
    if (value > this.size) throw this.error("it points outside of itself");
    return Number(value);
  }

  length(view: DataView, at: number, name: string): number {
    const value = view.getBigUint64(at, true);
    if (value > this.size) throw this.error(`a part of ${name} is longer than the file`);
    return Number(value);
  }

  error(what: string): FacetError {
    return new FacetError(`${this.file}: ${what}.`);
  }
}

export const bytesOf = ({ buffer, byteOffset, byteLength }: DataView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

export const latin1 = (view: DataView, from: number, length: number) =>
  String.fromCharCode(...bytesOf(view).subarray(from, from + length));

/** UTF-8 up to the first zero byte. */
export function text(view: DataView, file: string): string {
  const bytes = bytesOf(view);
  const end = bytes.indexOf(0);
  return decodeUtf8(end < 0 ? bytes : bytes.subarray(0, end), file);
}
