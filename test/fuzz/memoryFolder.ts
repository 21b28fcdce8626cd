import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, resolve } from "node:path";

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

/** Gives node:fs back as it was. */
export function uninstall(): void {
  Object.assign(fs, original);
  installed = false;
  syncBuiltinESMExports();
}

interface Folder {
  readonly files: Files;
  readonly outside: string[];
  /** Contents by handle; undefined for a folder. */
  readonly handles: Map<number, Uint8Array | undefined>;
}

type Entry = Uint8Array | "folder" | undefined;

let current: Folder | undefined;
let installed = false;
let nextHandle = 1_000_000;

const {
  openSync,
  closeSync,
  fstatSync,
  readSync,
  readFileSync,
  existsSync,
  statSync,
  readdirSync,
  realpathSync,
} = fs;
const original = {
  openSync,
  closeSync,
  fstatSync,
  readSync,
  readFileSync,
  existsSync,
  statSync,
  readdirSync,
  realpathSync,
};

function install(): void {
  if (installed) return;
  installed = true;
  Object.assign(fs, {
    ...{ openSync: open, closeSync: close, fstatSync: fstat, readSync: read },
    ...{ readFileSync: readFile, existsSync: exists, statSync: stat, readdirSync: readdir },
    realpathSync: realpath,
  });
  syncBuiltinESMExports();
}

/** What is at a path; what lies outside of the folder is noted, and not there. */
function entryAt(folder: Folder, path: unknown): Entry {
  const place = resolve(String(path));
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
function requirePath(path: unknown): void {
  if (typeof path !== "string" || !path.includes("\0")) return;
  const error = new TypeError("The argument 'path' must be a string without null bytes.");
  throw Object.assign(error, { code: "ERR_INVALID_ARG_VALUE" });
}

function failure(code: string, syscall: string, path: unknown): Error {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path });
}

function found(folder: Folder, path: unknown, syscall: string): Uint8Array | "folder" {
  requirePath(path);
  const entry = entryAt(folder, path);
  if (entry === undefined) throw failure("ENOENT", syscall, path);
  return entry;
}

const stats = (entry: Uint8Array | "folder" | undefined) => ({
  size: entry === undefined || entry === "folder" ? 4096 : entry.length,
  mtimeMs: 0,
  isDirectory: () => entry === undefined || entry === "folder",
  isFile: () => entry !== undefined && entry !== "folder",
});

function open(...args: Parameters<typeof openSync>): number {
  if (current === undefined) return openSync(...args);
  const entry = found(current, args[0], "open");
  current.handles.set(++nextHandle, entry === "folder" ? undefined : entry);
  return nextHandle;
}

function close(handle: number): void {
  if (current === undefined) closeSync(handle);
  else if (!current.handles.delete(handle)) throw failure("EBADF", "close", handle);
}

function fstat(...args: Parameters<typeof fstatSync>): unknown {
  if (current === undefined) return fstatSync(...args);
  return stats(current.handles.get(args[0]));
}

function read(...args: unknown[]): number {
  const [handle, out, offset, length, position] = args as [
    number,
    Uint8Array,
    number,
    number,
    number,
  ];
  if (current === undefined) return readSync(handle, out, offset, length, position);
  const bytes = current.handles.get(handle);
  if (bytes === undefined) throw failure("EISDIR", "read", handle);
  const inRange = [offset, length, position].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!inRange || offset + length > out.length) {
    throw new RangeError(`read of ${length} bytes at ${position} into ${offset} of ${out.length}`);
  }
  const part = bytes.subarray(position, position + length);
  out.set(part, offset);
  return part.length;
}

function readFile(...args: Parameters<typeof readFileSync>): unknown {
  if (current === undefined) return readFileSync(...args);
  const entry = found(current, args[0], "open");
  if (entry === "folder") throw failure("EISDIR", "read", args[0]);
  const copy = Buffer.from(entry);
  const encoding = typeof args[1] === "string" ? args[1] : args[1]?.encoding;
  return encoding ? copy.toString(encoding) : copy;
}

function exists(path: unknown): boolean {
  if (current === undefined) return existsSync(path as string);
  return !String(path).includes("\0") && entryAt(current, path) !== undefined;
}

function stat(...args: Parameters<typeof statSync>): unknown {
  if (current === undefined) return statSync(...args);
  return stats(found(current, args[0], "stat"));
}

function readdir(path: string, options?: { withFileTypes?: boolean }): unknown {
  if (current === undefined) return readdirSync(path, options as never);
  if (found(current, path, "scandir") !== "folder") throw failure("ENOTDIR", "scandir", path);
  const place = resolve(path);
  const prefix = place === FOLDER ? "" : `${place.slice(FOLDER.length + 1)}/`;
  const below = [...current.files.keys()].filter((name) => name.startsWith(prefix));
  const names = [...new Set(below.map((name) => name.slice(prefix.length).split("/")[0]!))];
  if (!options?.withFileTypes) return names;
  return names.map((name) => ({
    name: basename(name),
    ...stats(current!.files.get(prefix + name)),
  }));
}

function realpath(...args: Parameters<typeof realpathSync>): unknown {
  if (current === undefined) return realpathSync(...args);
  found(current, args[0], "realpath");
  return args[0];
}
