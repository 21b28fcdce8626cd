import { closeSync, openSync, readSync } from "node:fs";
import { FacetError } from "../errors.js";

/** The most one read call is asked for; Node.js refuses 2 GiB and more. */
const READ_BYTES = 1 << 30;

/** Opens a file for reading while `use` runs. Throws FacetError when it cannot be opened or read. */
export function withFile<T>(path: string, use: (file: number) => T): T {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    return use(file);
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw new FacetError(`Cannot read ${path}: ${error.message}.`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Fills `out` from byte `offset` of a file on; FacetError, starting with `where`, if the file ends before. */
export function readFully(file: number, out: Uint8Array, offset: number, where: string): void {
  let done = 0;
  while (done < out.length) {
    const got = readSync(file, out, done, Math.min(READ_BYTES, out.length - done), offset + done);
    if (got === 0)
      throw new FacetError(`${where} is cut off: the file is truncated. Get it again.`);
    done += got;
  }
}
