import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, resolve } from "node:path";
import { Readable } from "node:stream";

/** Files by their path below a folder. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** The folder that exists only in memory, and only while a case runs. */
export const FOLDER = "/fuzzed";

/**
 * Lets `use` see `files` below FOLDER through node:fs, and nothing else: a million cases a minute would be too many for
 * a file system, and here it shows when a reader looks elsewhere. Returns the paths outside of the folder that were
 * asked for, and how many files were left open.
 */
export async function withFiles(
  files: Files,
  use: () => Promise<void>,
): Promise<{ outside: string[]; open: number }> {
  install();
  const folder = { files, outside: [], handles: new Map() };
  current = folder;
  try {
    await use();
  } finally {
    current = undefined;
  }
  return { outside: folder.outside, open: folder.handles.size };
}

interface Folder {
  readonly files: Files;
  readonly outside: string[];
  /** Contents by handle; undefined for a folder. */
  readonly handles: Map<number, Uint8Array | undefined>;
}

type Entry = Uint8Array | "folder";

let current: Folder | undefined;
let installed = false;
let nextHandle = 1_000_000;

type Calls = Record<string, (...args: never[]) => unknown>;
const calls = fs as unknown as Calls;
const original: Calls = { ...calls };

function install(): void {
  if (installed) return;
  installed = true;
  for (const [name, call] of Object.entries(inMemory)) {
    calls[name] = (...args) =>
      current === undefined ? original[name]!(...args) : call(current, ...args);
  }
  syncBuiltinESMExports();
}

/** Gives node:fs back as it was. */
export function uninstall(): void {
  for (const name of Object.keys(inMemory)) calls[name] = original[name]!;
  installed = false;
  syncBuiltinESMExports();
}

/** The calls of node:fs that readers make, for a folder in memory. */
const inMemory: Record<string, (folder: Folder, ...args: never[]) => unknown> = {
  openSync: open,

  closeSync(folder, handle: number): void {
    if (!folder.handles.delete(handle)) throw failure("EBADF", "close", handle);
  },

  fstatSync: (folder, handle: number) => stats(folder.handles.get(handle) ?? "folder"),

  readSync(folder, handle: number, out: Uint8Array, ...range: [number, number, number]): number {
    const [offset, length, position] = range;
    const bytes = folder.handles.get(handle);
    if (bytes === undefined) throw failure("EISDIR", "read", handle);
    const inRange = range.every((n) => Number.isSafeInteger(n) && n >= 0);
    if (!inRange || offset + length > out.length) {
      throw new RangeError(
        `read of ${length} bytes at ${position} into ${offset} of ${out.length}`,
      );
    }
    const part = bytes.subarray(position, position + length);
    out.set(part, offset);
    return part.length;
  },

  readFileSync(folder, path: string, options?: string | { encoding?: string }): unknown {
    const entry = found(folder, path, "open");
    if (entry === "folder") throw failure("EISDIR", "read", path);
    const copy = Buffer.from(entry);
    const encoding = typeof options === "string" ? options : options?.encoding;
    return encoding ? copy.toString(encoding as BufferEncoding) : copy;
  },

  createReadStream: readStream,

  existsSync: (folder, path: string): boolean =>
    !path.includes("\0") && entryAt(folder, path) !== undefined,

  statSync: (folder, path: string) => stats(found(folder, path, "stat")),

  readdirSync(folder, path: string, options?: { withFileTypes?: boolean }): unknown {
    if (found(folder, path, "scandir") !== "folder") throw failure("ENOTDIR", "scandir", path);
    const place = resolve(path);
    const prefix = place === FOLDER ? "" : `${place.slice(FOLDER.length + 1)}/`;
    const below = [...folder.files.keys()].filter((name) => name.startsWith(prefix));
    const names = [...new Set(below.map((name) => name.slice(prefix.length).split("/")[0]!))];
    if (!options?.withFileTypes) return names;
    return names.map((name) => ({
      name: basename(name),
      ...stats(folder.files.get(prefix + name) ?? "folder"),
    }));
  },

  realpathSync(folder, path: string): string {
    found(folder, path, "realpath");
    return path;
  },
};

function open(folder: Folder, path: string): number {
  const entry = found(folder, path, "open");
  folder.handles.set(++nextHandle, entry === "folder" ? undefined : entry);
  return nextHandle;
}

/** A stream of small pieces, so that what lies over an edge between two is tried with small files. */
function readStream(folder: Folder, path: string): Readable {
  let handle: number | undefined;
  let at = 0;
  return new Readable({
    read() {
      try {
        handle ??= open(folder, path);
        const bytes = folder.handles.get(handle);
        if (bytes === undefined) throw failure("EISDIR", "read", path);
        const end = at + 1 + Math.max(bytes.length >> 2, bytes.length % 61);
        this.push(at < bytes.length ? Buffer.from(bytes.subarray(at, end)) : null);
        at = end;
      } catch (error) {
        this.destroy(error as Error);
      }
    },
    destroy(error, done) {
      if (handle !== undefined) folder.handles.delete(handle);
      done(error);
    },
  });
}

/** What is at a path; what lies outside of the folder is noted, and not there. */
function entryAt(folder: Folder, path: string): Entry | undefined {
  const place = resolve(path);
  if (place !== FOLDER && !place.startsWith(`${FOLDER}/`)) {
    folder.outside.push(place);
    return undefined;
  }
  const name = place.slice(FOLDER.length + 1);
  const file = folder.files.get(name);
  if (file !== undefined) return file;
  const prefix = name === "" ? "" : `${name}/`;
  for (const other of folder.files.keys()) if (other.startsWith(prefix)) return "folder";
  return undefined;
}

/** As Node.js refuses a path with a zero byte. */
function requirePath(path: string): void {
  if (!path.includes("\0")) return;
  const error = new TypeError("The argument 'path' must be a string without null bytes.");
  throw Object.assign(error, { code: "ERR_INVALID_ARG_VALUE" });
}

function failure(code: string, syscall: string, path: unknown): Error {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path });
}

function found(folder: Folder, path: string, syscall: string): Entry {
  requirePath(path);
  const entry = entryAt(folder, path);
  if (entry === undefined) throw failure("ENOENT", syscall, path);
  return entry;
}

const stats = (entry: Entry) => ({
  size: entry === "folder" ? 4096 : entry.length,
  mtimeMs: 0,
  isDirectory: () => entry === "folder",
  isFile: () => entry !== "folder",
});
