import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FacetError } from "../../src/errors.js";
import { Unjustified, withAllocationLimit } from "./allocations.js";
import type { FuzzedFormat } from "./format.js";
import { type Files, FOLDER, withFiles } from "./memoryFolder.js";

/** What a reader must not do. */
export interface Finding {
  readonly kind: "crash" | "memory" | "slow" | "outside" | "left open";
  readonly message: string;
  /** Where, without what changes from case to case. */
  readonly signature: string;
}

/** Buffers and lists: this much for tables that every tokenizer has, and some copies of the file as float32. */
const BUFFERS = { fixed: 16 << 20, perByte: 64 };
/** Objects and strings, which in JavaScript take many times the room of the bytes that name them. */
const HEAP = { fixed: 24 << 20, perByte: 1000 };
/** Milliseconds. A loaded machine is slow too, so a slow case is tried again. */
const TIME = { fixed: 250, perByte: 1 / 500 };
const RETRIES = 3;

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

const sizeOf = (files: Files) => [...files.values()].reduce((sum, { length }) => sum + length, 0);

/** Reads one input, and says what was wrong with how it was read. */
export async function runCase(format: FuzzedFormat, files: Files): Promise<Finding | undefined> {
  const size = sizeOf(files);
  const finding = await attempt(format, files, size);
  if (finding === undefined || (finding.kind !== "slow" && finding.kind !== "memory"))
    return finding;
  for (let i = 0; i < RETRIES; i++) {
    // What the last attempt left would be taken away during the next one, and hide what that makes.
    collectGarbage();
    const again = await attempt(format, files, size);
    if (again?.kind !== finding.kind) return again;
  }
  return finding;
}

async function attempt(
  format: FuzzedFormat,
  files: Files,
  size: number,
): Promise<Finding | undefined> {
  let crash: unknown;
  let unjustified: unknown;
  const heap = getHeapStatistics().used_heap_size;
  const start = performance.now();
  const { outside, open } = await withFiles(files, async () => {
    const limit = BUFFERS.fixed + BUFFERS.perByte * size;
    try {
      await withAllocationLimit(limit, () => format.read(FOLDER));
    } catch (error) {
      if (error instanceof Unjustified) unjustified = error;
      else if (!(error instanceof FacetError)) crash = error;
    }
  });
  const milliseconds = performance.now() - start;
  const grown = getHeapStatistics().used_heap_size - heap;
  if (outside.length > 0) return found("outside", `asked for ${outside[0]}`);
  if (unjustified !== undefined) return found("memory", "", unjustified);
  if (crash !== undefined) return found("crash", "", crash);
  if (open > 0) return found("left open", `${open} files`);
  if (grown > HEAP.fixed + HEAP.perByte * size) {
    return found("memory", `${grown} bytes of objects for a file of ${size}`);
  }
  if (milliseconds > (format.allowed ?? 0) + TIME.fixed + TIME.perByte * size) {
    return found("slow", `${Math.round(milliseconds)} ms for ${size} bytes`);
  }
  return undefined;
}

function found(kind: Finding["kind"], what: string, error?: unknown): Finding {
  const { name, message, stack = "" } = error instanceof Error ? error : new Error(what);
  const place = error === undefined ? "" : (/\/(src\/[^\s)]+)/.exec(stack)?.[1] ?? "");
  const text = error === undefined ? what : `${name}: ${message.slice(0, 300)} (${place})`;
  return {
    kind,
    message: text,
    signature: `${kind} ${name} ${place || text}`.replaceAll(/\d+/g, "") + place,
  };
}
