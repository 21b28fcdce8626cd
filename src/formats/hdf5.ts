import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Dataset, File, Group } from "h5wasm";
import { FacetError } from "../errors.js";

/** An open HDF5 file. Its groups and datasets live as long as the `use` it is given to. */
export interface Hdf5File {
  /** Absolute path, for messages. */
  readonly path: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** The group of that path in the file; FacetError when there is none. */
  group(name: string): Group;
  /** The dataset of that path in the file; FacetError when there is none. */
  dataset(name: string): Dataset;
}

/** Names in the memory that the library takes for its disk. */
const CONTENT = "/content.h5";
const ERRORS = "/errors";

type H5Wasm = typeof import("h5wasm");
let loading: Promise<H5Wasm> | undefined;

/**
 * Opens an HDF5 file for reading while `use` runs. The library works on a copy of the file in memory, so nothing
 * in the file can make it touch the disk.
 * Throws FacetError when the file cannot be read or the library found anything wrong with it.
 */
export async function withHdf5<T>(path: string, use: (file: Hdf5File) => T): Promise<T> {
  const absolute = resolve(path);
  const content = readBytes(absolute);
  // It compiles its WebAssembly when it is loaded, so only who reads such a file waits for that.
  loading ??= loadLibrary();
  const h5wasm = await loading;
  const { FS } = await h5wasm.ready;
  FS.writeFile(CONTENT, content);
  FS.truncate(ERRORS, 0);
  let file: File | undefined;
  let outcome: { value: T } | { error: unknown };
  try {
    file = new h5wasm.File(CONTENT, "r");
    outcome = { value: use(access(h5wasm, file, absolute, content.length)) };
  } catch (error) {
    outcome = { error };
  } finally {
    if (file !== undefined && file.file_id >= 0n) file.close();
    FS.unlink(CONTENT);
  }
  // Some calls of the library return as if all were well, so what it reports decides.
  const report = FS.readFile(ERRORS, { encoding: "utf8" });
  if (report !== "") {
    throw new FacetError(
      `${absolute} is not a readable HDF5 file: ${cause(report)}. It may be damaged or truncated; get it again.`,
    );
  }
  if ("value" in outcome) return outcome.value;
  throw outcome.error;
}

/**
 * Loads the library with its error output turned into a file in its memory. Its other way to report errors, as
 * exceptions, leaves locks and open files behind in the C code and ends the library after some thousand of them.
 */
async function loadLibrary(): Promise<H5Wasm> {
  const h5wasm = await import("h5wasm");
  const { FS } = await h5wasm.ready;
  // The library's type declarations lack this function of Emscripten's.
  const { getStream } = FS as typeof FS & { getStream(fd: number): Parameters<typeof FS.close>[0] };
  FS.close(getStream(2));
  FS.open(ERRORS, "a+", 0o600, 2, 2);
  return h5wasm;
}

function access(h5wasm: H5Wasm, file: File, path: string, bytes: number): Hdf5File {
  const entity = (name: string) => (file.file_id < 0n ? undefined : file.get(name));
  return {
    path,
    bytes,
    group(name) {
      const found = entity(name);
      if (found instanceof h5wasm.Group) return found;
      throw new FacetError(`${path}: the group ${name} is missing.`);
    },
    dataset(name) {
      const found = entity(name);
      if (found instanceof h5wasm.Dataset) return found;
      throw new FacetError(`${path}: the dataset ${name} is missing.`);
    },
  };
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new FacetError(`Cannot read ${path}: ${(error as Error).message}.`, { cause: error });
  }
}

/** Of the library's trace of an error, the innermost message, which it prints last. */
function cause(report: string): string {
  const trace = report.split("HDF5-DIAG").slice(0, 2).join("");
  return [...trace.matchAll(/^ *#\d+: .*\(\): (.*)$/gm)].at(-1)?.[1] ?? report.trim();
}
