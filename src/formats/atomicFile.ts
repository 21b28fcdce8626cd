import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { FacetError } from "../errors.js";

/**
 * Files and folders that appear whole or not at all.
 *
 * Everything is written under a temporary name beside its target, `.<name>.<host>.<pid>.<hex>.new`,
 * and renamed when it is on the disk. A folder cannot be renamed onto a folder that has files, so the
 * old one is first renamed to `.<name>.<host>.<pid>.<hex>.old`; `cleanTemporaries` puts it back when the
 * process died between the two renames.
 */

/** The most one write call takes; Node.js refuses 2 GiB and more. */
const WRITE_BYTES = 1 << 26;
/** A temporary of another machine is stale when nobody touched it for this long, in milliseconds. */
const FOREIGN_STALE_MS = 24 * 3600 * 1000;

const HOST = hostname().replace(/[^A-Za-z0-9-]/g, "-") || "localhost";
const TEMPORARY = /^\.(?<target>.+)\.(?<host>[^.]+)\.(?<pid>\d+)\.[0-9a-f]{12}\.(?<kind>new|old)$/;

/**
 * Writes a file whole or not at all: when this returns, its bytes and its name are on the disk.
 * Throws FacetError, with the old file (if any) untouched and the temporary one removed, when the disk
 * is full or the folder cannot be written.
 */
export function writeFileAtomic(
  path: string,
  data: string | Uint8Array | Iterable<Uint8Array>,
): void {
  const target = resolve(path);
  const temporary = temporaryName(target, "new");
  try {
    const file = openSync(temporary, "wx");
    try {
      for (const bytes of byteChunks(data)) writeFully(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw notWritten(error, target);
  }
  syncNames(target);
}

/**
 * Fills a folder under a temporary name and renames it into place when every file in it is on the disk.
 * An existing folder is replaced as a whole; until the new one stands in its place, the old one does, or
 * has a name from which `cleanTemporaries` restores it.
 * When `fill` throws, or the disk is full, the temporary folder is removed and the old one is untouched.
 */
export async function writeFolderAtomic(
  path: string,
  fill: (temporaryFolder: string) => Promise<void> | void,
): Promise<void> {
  const target = resolve(path);
  const temporary = temporaryName(target, "new");
  const previous = temporaryName(target, "old");
  try {
    mkdirSync(temporary);
    await fill(temporary);
    syncTree(temporary);
    const replaces = existsSync(target);
    if (replaces && !statSync(target).isDirectory()) {
      throw new FacetError(`Cannot write the folder ${target}: a file has that name.`);
    }
    if (replaces) renameSync(target, previous);
    try {
      renameSync(temporary, target);
    } catch (error) {
      if (replaces) renameSync(previous, target);
      throw error;
    }
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw notWritten(error, target);
  }
  syncNames(target);
  rmSync(previous, { recursive: true, force: true });
}

/**
 * Removes from a folder the temporaries of writers that died, and gives a replaced folder its name back
 * when its writer died before the new one stood in its place. Temporaries of running processes stay;
 * those of other machines stay for a day.
 */
export function cleanTemporaries(folder: string): void {
  for (const name of readdirSync(folder)) {
    const parts = TEMPORARY.exec(name)?.groups;
    const temporary = join(folder, name);
    if (parts === undefined || !isStale(temporary, parts.host ?? "", Number(parts.pid))) continue;
    const target = join(folder, parts.target ?? "");
    if (parts.kind === "old" && !existsSync(target)) renameSync(temporary, target);
    else rmSync(temporary, { recursive: true, force: true });
  }
}

/** Writes all of `bytes`; a single write call may take fewer than it was given. */
export function writeFully(file: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(file, bytes, done, Math.min(WRITE_BYTES, bytes.length - done));
  }
}

function* byteChunks(data: string | Uint8Array | Iterable<Uint8Array>): Iterable<Uint8Array> {
  if (typeof data === "string") yield new TextEncoder().encode(data);
  else if (data instanceof Uint8Array) yield data;
  else yield* data;
}

function temporaryName(target: string, kind: "new" | "old"): string {
  const hex = randomBytes(6).toString("hex");
  return join(dirname(target), `.${basename(target)}.${HOST}.${process.pid}.${hex}.${kind}`);
}

function isStale(temporary: string, host: string, pid: number): boolean {
  if (host !== HOST) return Date.now() - statSync(temporary).mtimeMs > FOREIGN_STALE_MS;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // EPERM means that the process lives and belongs to somebody else.
    return isSystemError(error) && error.code === "ESRCH";
  }
}

function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    // Windows flushes only what is open for writing.
    else if (entry.isFile()) syncPath(path, process.platform === "win32" ? "r+" : "r");
  }
  syncFolder(folder);
}

/** Makes the renaming of `target` durable. The new content already stands, and the error says so. */
function syncNames(target: string): void {
  try {
    syncFolder(dirname(target));
  } catch (error) {
    throw new FacetError(
      `${target} was written, but the disk does not confirm it (${errorCode(error)}). Check the disk.`,
      { cause: error },
    );
  }
}

function syncFolder(folder: string): void {
  // Windows has no handle of a folder to flush; it makes renames durable itself.
  if (process.platform !== "win32") syncPath(folder, "r");
}

function syncPath(path: string, flags: "r" | "r+"): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } catch (error) {
    // Some network file systems cannot flush a folder and say EINVAL; nothing more can be done there.
    if (!isSystemError(error) || error.code !== "EINVAL") throw error;
  } finally {
    closeSync(file);
  }
}

function notWritten(error: unknown, target: string): unknown {
  if (!isSystemError(error)) return error;
  const reasons: Record<string, string> = {
    ENOSPC: "the disk is full. Free some space",
    EDQUOT: "the disk quota is used up. Free some space",
    EACCES: "permission denied. Choose a folder you may write to",
    EPERM: "permission denied. Choose a folder you may write to",
    EROFS: "the file system is read-only. Choose another folder",
    EISDIR: "a folder has that name. Choose another name",
  };
  const reason = existsSync(dirname(target))
    ? (reasons[error.code] ?? error.message)
    : "its folder does not exist. Create it first";
  return new FacetError(`Cannot write ${target}: ${reason}. Nothing was overwritten.`, {
    cause: error,
  });
}

function errorCode(error: unknown): string {
  return isSystemError(error) ? error.code : String(error);
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "syscall" in error && "code" in error;
}
