import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { readFully } from "../formats/exactRead.js";
import { type ExampleIndex, type ExampleStore, storedExamples } from "./exampleStore.js";
import type { Prepared } from "./examples.js";
import type { PrepareReport } from "./prepareReport.js";
import { sides } from "./rowRules.js";
import type { RowCounts } from "./rowWorkers.js";
import type { Words } from "./wordStore.js";

/**
 * A data set that has been prepared, as one file. Layout, in this machine's byte order: the header's length, uint32;
 * the header, JSON; spaces up to a multiple of 8; of each side, training first, its counts, lines and numbers of ids cut
 * off, uint32 by example; of each side its words, uint32; sha256 of all that.
 */
export interface PreparedData {
  /** Rows of the files, also those that the filters left out. */
  readonly rows: Readonly<RowCounts>;
  readonly train: Prepared;
  /** Undefined without a validation split. */
  readonly validation: Prepared | undefined;
  /** Examples for training of each data set; they lie one set after the other. */
  readonly counts: readonly number[];
}

interface Header {
  readonly key: string;
  readonly rows: RowCounts;
  readonly counts: readonly number[];
  readonly sides: readonly {
    readonly report: PrepareReport;
    readonly examples: number;
    readonly words: number;
  }[];
}

const DIGEST = 32;
const CHUNK = 2 ** 22;
const aligned = (length: number) => Math.ceil(length / 8) * 8;

/** Data whose examples can be written as they lie. */
export interface FreshData extends PreparedData {
  readonly train: Prepared & { readonly examples: ExampleStore };
  readonly validation: (Prepared & { readonly examples: ExampleStore }) | undefined;
}

/** Throws a FacetError when the file cannot be written. */
export function writePrepared(path: string, key: string, data: FreshData): void {
  const present = sides.flatMap((side) => data[side] ?? []);
  const header: Header = {
    key,
    rows: data.rows,
    counts: data.counts,
    sides: present.map(({ report, examples }) => ({
      report,
      examples: examples.length,
      words: examples.index().counts.reduce((sum, count) => sum + count, 0),
    })),
  };
  writeFileAtomic(path, withDigest(contents(header, present)));
}

function* contents(
  header: Header,
  present: readonly { readonly examples: ExampleStore }[],
): Generator<Uint8Array> {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(aligned(4 + text.length)).fill(0x20);
  new Uint32Array(head.buffer)[0] = text.length;
  head.set(text, 4);
  yield head;
  for (const { examples } of present) {
    const { counts, lines, truncated } = examples.index();
    for (const column of [counts, lines, truncated]) yield bytesOf(column);
  }
  for (const { examples } of present) yield* examples.pieces();
}

function* withDigest(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  const hash = createHash("sha256");
  for (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
  yield hash.digest();
}

/**
 * The data of such a file, of which up to `memory` bytes are read and what is more stays in the open file; undefined
 * when there is none, or it is damaged or has another key.
 */
export function readPrepared(path: string, key: string, memory: number): PreparedData | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const data = isWhole(file) ? parse(file, path, key, memory) : undefined;
    if (data?.usesFile) return data;
    closeSync(file);
    return data;
  } catch (error) {
    if (file !== undefined) closeSync(file);
    if (error instanceof Error && "syscall" in error) return undefined;
    throw error;
  }
}

function isWhole(file: number): boolean {
  const end = fstatSync(file).size - DIGEST;
  if (end < 4) return false;
  const hash = createHash("sha256");
  const chunk = new Uint8Array(CHUNK);
  for (let at = 0; at < end; ) {
    const got = readSync(file, chunk, 0, Math.min(CHUNK, end - at), at);
    if (got === 0) return false;
    hash.update(chunk.subarray(0, got));
    at += got;
  }
  const digest = new Uint8Array(DIGEST);
  readFully(file, digest, end, "");
  return hash.digest().equals(digest);
}

/** What the digest vouches for was written by `writePrepared`. */
function parse(
  file: number,
  path: string,
  key: string,
  memory: number,
): (PreparedData & { readonly usesFile: boolean }) | undefined {
  let at = 0;
  const next = (words: number): Uint32Array => {
    const array = new Uint32Array(words);
    readFully(file, bytesOf(array), at, path);
    at += 4 * words;
    return array;
  };
  const [length] = next(1);
  const text = new Uint8Array(length!);
  readFully(file, text, at, path);
  const header: Header = JSON.parse(new TextDecoder().decode(text));
  if (header.key !== key) return undefined;
  at = aligned(4 + length!);
  const indices = header.sides.map(({ examples }) =>
    indexOf(next(examples), next(examples), next(examples)),
  );
  const total = header.sides.reduce((sum, { words }) => sum + words, 0);
  const usesFile = 4 * total > memory;
  const prepared = header.sides.map(({ report, words: count }, i): Prepared => {
    const words = usesFile ? fileWords(file, at, path) : memoryWords(next(count));
    if (usesFile) at += 4 * count;
    return { report, examples: storedExamples(words, () => indices[i]!) };
  });
  const { rows, counts } = header;
  return { usesFile, rows, counts, train: prepared[0]!, validation: prepared[1] };
}

function indexOf(counts: Uint32Array, lines: Uint32Array, truncated: Uint32Array): ExampleIndex {
  const starts = new Float64Array(counts.length);
  for (let i = 1; i < starts.length; i++) starts[i] = starts[i - 1]! + counts[i - 1]!;
  return { starts, counts, lines, truncated };
}

const memoryWords = (all: Uint32Array): Words => ({
  read: (start, count) => all.subarray(start, start + count),
});

const fileWords = (file: number, offset: number, path: string): Words => ({
  read(start, count) {
    const words = new Uint32Array(count);
    readFully(file, bytesOf(words), offset + 4 * start, path);
    return words;
  },
});

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
