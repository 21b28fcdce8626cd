import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { writeFully } from "../formats/atomicFile.js";
import { readFully } from "../formats/exactRead.js";

/** Where words lie that do not fit into memory. */
export interface Spill {
  /** The file in this folder has no name, and goes with the process. */
  readonly folder: string;
  /** Bytes that stay in memory until they are written. */
  readonly bytes: number;
}

/** Numbers of 32 bits, in memory or in a file. */
export interface Words {
  /** The words from `start` on; a view or a copy, not to be changed. */
  read(start: number, count: number): Uint32Array;
}

export interface WordStore extends Words {
  readonly length: number;
  append(words: Uint32Array): void;
  /** All of it as bytes, in pieces. */
  pieces(): Generator<Uint8Array>;
}

const PIECE = 2 ** 20;

/**
 * Words that are added at the end. Beyond `spill.bytes` they are written to a file, from which they are read again.
 * Throws a FacetError when that cannot be written or read.
 */
export function wordStore(spill: Spill): WordStore {
  const most = Math.max(1, Math.floor(spill.bytes / 4));
  let memory = new Uint32Array(Math.min(most, 2 ** 18));
  let used = 0;
  let written = 0;
  let file: number | undefined;

  const spillMemory = () => {
    try {
      file ??= nameless(spill.folder);
      writeFully(file, bytesOf(memory.subarray(0, used)));
    } catch (cause) {
      throw new FacetError(
        `Cannot write the examples to ${spill.folder}: ${(cause as Error).message}. Make room there, or use fewer rows.`,
        { cause },
      );
    }
    written += used;
    used = 0;
  };

  const store: WordStore = {
    get length() {
      return written + used;
    },
    append(words) {
      if (used + words.length > most && used > 0) spillMemory();
      if (used + words.length > memory.length) {
        const size = Math.max(used + words.length, Math.min(2 * memory.length, most));
        const larger = new Uint32Array(size);
        larger.set(memory.subarray(0, used));
        memory = larger;
      }
      memory.set(words, used);
      used += words.length;
    },
    read(start, count) {
      if (start >= written) return memory.subarray(start - written, start - written + count);
      const words = new Uint32Array(count);
      readFully(file!, bytesOf(words), 4 * start, `The file of examples in ${spill.folder}`);
      return words;
    },
    *pieces() {
      for (let at = 0; at < written; at += PIECE) {
        yield bytesOf(store.read(at, Math.min(PIECE, written - at)));
      }
      yield bytesOf(memory.subarray(0, used));
    },
  };
  return store;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A file that is open but has no name any more, so that nothing is left when the process ends in whatever way. */
function nameless(folder: string): number {
  mkdirSync(folder, { recursive: true });
  const place = mkdtempSync(join(folder, "examples-"));
  const file = openSync(join(place, "examples.bin"), "wx+");
  try {
    rmSync(place, { recursive: true });
  } catch {
    // Windows does not remove an open file.
    process.once("exit", () => {
      closeSync(file);
      rmSync(place, { recursive: true, force: true });
    });
  }
  return file;
}
