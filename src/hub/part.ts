import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { FacetError } from "../errors.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { readIfThere } from "./readIfThere.js";

/**
 * The part of a file that has arrived: `<name>.<host>.<pid>.<hex>.incomplete` beside the place of the whole file. Each
 * download writes to a file of its own, so two processes that want the same file cannot spoil it. What a process left
 * behind that was stopped or killed, the next takes over, by renaming it: only one can.
 */
export interface Part {
  readonly path: string;
  /** Which version of the file it is part of, as the server named it; undefined where nobody wrote that down. */
  validator(): string | undefined;
  setValidator(validator: string): void;
  /** Lets go of the part; it stays for the next download. */
  release(): void;
  /** Removes the part. */
  discard(): void;
}

/** A part that nobody wrote to for this long belongs to nobody, in milliseconds. */
const STALE_MS = 3600 * 1000;

const HOST = hostname().replace(/[^A-Za-z0-9-]/g, "-") || "localhost";
const OWNER = /^(?<target>.+)\.(?<host>[^.]+)\.(?<pid>\d+)\.[0-9a-f]{12}\.incomplete$/;

/** Parts that this process is writing. */
const held = new Set<string>();

/** Takes over the largest part of `target` that nobody is writing, or gives the name of a new one. */
export function claimPart(target: string): Part {
  const folder = dirname(target);
  makeFolder(folder);
  const free = readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => isFree(path, basename(target)))
    .map((path) => ({ path, size: sizeOf(path) }))
    .sort((a, b) => b.size - a.size);
  const hex = randomBytes(6).toString("hex");
  const path = `${target}.${HOST}.${process.pid}.${hex}.incomplete`;
  const [largest, ...others] = free;
  if (largest !== undefined && renamed(largest.path, path)) {
    renamed(note(largest.path), note(path));
    for (const other of others) remove(other.path);
  }
  held.add(path);
  return {
    path,
    validator: () => readIfThere(note(path)),
    setValidator: (validator) => writeFileAtomic(note(path), validator),
    release: () => {
      held.delete(path);
    },
    discard() {
      remove(path);
      held.delete(path);
    },
  };
}

/** Makes a folder and those above it. Throws a FacetError where that is not allowed. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new FacetError(
      `Cannot make the folder ${folder}: ${(cause as Error).message}. Choose another place with HF_HOME, KAGGLEHUB_CACHE or FACET_HOME.`,
      { cause },
    );
  }
}

const note = (path: string) => path.replace(/incomplete$/, "version");

function isFree(path: string, target: string): boolean {
  const owner = OWNER.exec(basename(path))?.groups;
  if (owner?.target !== target || held.has(path)) return false;
  if (owner.host === HOST && !isRunning(Number(owner.pid))) return true;
  if (owner.host === HOST && Number(owner.pid) === process.pid) return true;
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > STALE_MS;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM means that it runs and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Whether it was there to be renamed. */
function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new FacetError(`Cannot rename ${from}: ${(error as Error).message}`, { cause: error });
  }
}

function remove(path: string): void {
  rmSync(path, { force: true });
  rmSync(note(path), { force: true });
}
