import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { writeFully } from "../formats/atomicFile.js";
import { readFully } from "../formats/exactRead.js";
import type { Example } from "./examples.js";

/** Examples by their index; an array of them is one such. */
export interface Examples extends Iterable<Example> {
  readonly length: number;
  at(index: number): Example | undefined;
}

export interface ExampleStore extends Examples {
  push(example: Example): void;
}

/** Where examples lie that do not fit into memory. */
export interface Spill {
  /** The file in this folder has no name, and goes with the process. */
  readonly folder: string;
  /** Bytes of examples that stay in memory until they are written. */
  readonly bytes: number;
}

/** Bytes of one id, and of the flag that says whether it is a target. */
const PER_ID = 5;

/**
 * A store that holds examples as flat bytes: 5 for each id, and where each example lies. Beyond `spill.bytes` they are
 * written to a file, from which they are read one by one. Throws a FacetError when that cannot be written or read.
 */
export function exampleStore(spill: Spill): ExampleStore {
  const places: { at: number; count: number; line: number; truncated: number }[] = [];
  let memory = Buffer.alloc(Math.min(spill.bytes, 2 ** 20));
  let used = 0;
  let written = 0;
  let file: number | undefined;

  const spillMemory = () => {
    try {
      file ??= nameless(spill.folder);
      writeFully(file, memory.subarray(0, used));
    } catch (cause) {
      throw new FacetError(
        `Cannot write the examples to ${spill.folder}: ${(cause as Error).message}. Make room there, or use fewer rows.`,
        { cause },
      );
    }
    written += used;
    used = 0;
  };

  const room = (bytes: number) => {
    if (used + bytes <= memory.length) return;
    if (used + bytes > spill.bytes && used > 0) {
      spillMemory();
    }
    if (bytes > memory.length - used) {
      const larger = Buffer.alloc(Math.max(used + bytes, Math.min(2 * memory.length, spill.bytes)));
      memory.copy(larger, 0, 0, used);
      memory = larger;
    }
  };

  const bytesAt = (at: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    if (at >= written) memory.copy(bytes, 0, at - written, at - written + length);
    else readFully(file!, bytes, at, `The file of examples in ${spill.folder}`);
    return bytes;
  };

  const store: ExampleStore = {
    get length() {
      return places.length;
    },
    push({ ids, isTarget, line, truncated }) {
      const count = ids.length;
      room(count * PER_ID);
      places.push({ at: written + used, count, line, truncated });
      Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength).copy(memory, used);
      memory.set(isTarget, used + 4 * count);
      used += count * PER_ID;
    },
    at(index) {
      const place = places[index];
      if (place === undefined) return undefined;
      const { at, count, line, truncated } = place;
      const { buffer, byteOffset } = bytesAt(at, count * PER_ID);
      // A copy of its own: a Buffer may begin where no Int32Array can.
      const ids = new Int32Array(buffer.slice(byteOffset, byteOffset + 4 * count));
      return {
        ids,
        isTarget: new Uint8Array(buffer, byteOffset + 4 * count, count),
        line,
        truncated,
      };
    },
    *[Symbol.iterator]() {
      for (let i = 0; i < places.length; i++) yield store.at(i)!;
    },
  };
  return store;
}

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
