import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { cleanTemporaries } from "../formats/atomicFile.js";
import { type FreshData, type PreparedData, readPrepared, writePrepared } from "./preparedFile.js";
import type { RowOptions } from "./rowRules.js";
import type { RowTemplate } from "./rowTemplate.js";

/** Counts up when the same rows, options and tokenizer come to give other examples. */
const VERSION = 2;
/** Bytes that prepared data may take in all; those not used for the longest are removed. */
const MOST_BYTES = 2 ** 33;
const ENDING = ".prepared";

/** What decides what data become. */
export interface DataIdentity {
  /** All files of all data sets, in order. */
  readonly files: readonly string[];
  /** Digest of the files' bytes. */
  readonly sha256: string;
  readonly options: RowOptions;
  /** Of each data set. */
  readonly templates: readonly RowTemplate[];
  /** The tokenizer, as `vocabularyBytes` writes it. */
  readonly vocabulary: Uint8Array;
}

/** A folder for prepared data: what was prepared once is read the next time. */
export interface PreparedCache {
  /** Undefined when there is nothing, or something damaged. At most `memory` bytes of examples are in memory. */
  read(identity: DataIdentity, memory: number): PreparedData | undefined;
  /** Leaves it, when the folder cannot be written. */
  write(identity: DataIdentity, data: FreshData): void;
}

export function preparedCache(folder: string): PreparedCache {
  const pathOf = (key: string) => join(folder, `${key}${ENDING}`);
  return {
    read(identity, memory) {
      const key = keyOf(identity);
      const data = readPrepared(pathOf(key), key, memory);
      if (data !== undefined) touch(pathOf(key));
      return data;
    },
    write(identity, data) {
      const key = keyOf(identity);
      try {
        mkdirSync(folder, { recursive: true });
        cleanTemporaries(folder);
        writePrepared(pathOf(key), key, data);
        removeOldest(folder);
      } catch {
        // The next run takes as long as this one.
      }
    },
  };
}

function keyOf({ files, sha256, options, templates, vocabulary }: DataIdentity): string {
  const {
    sequenceLength,
    filters = [],
    columns = [],
    targets,
    overlong,
    validationSplit,
  } = options;
  const facts = [
    // Reports name the files, and how one is read depends on its name.
    ...[
      VERSION,
      sha256,
      files,
      templates.map(({ name, source, fields }) => [name, source, fields]),
    ],
    ...[sequenceLength, filters, columns, targets, overlong, validationSplit],
    createHash("sha256").update(vocabulary).digest("hex"),
  ];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}

function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // Somebody else's file; it is as good.
  }
}

function removeOldest(folder: string): void {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(ENDING))
    .map((name) => ({ path: join(folder, name), ...sizeAndTime(join(folder, name)) }))
    .sort((a, b) => b.time - a.time);
  let total = 0;
  for (const [i, { path, size }] of files.entries()) {
    total += size;
    if (i > 0 && total > MOST_BYTES) rmSync(path, { force: true });
  }
}

function sizeAndTime(path: string): { size: number; time: number } {
  const { size, mtimeMs } = statSync(path);
  return { size, time: mtimeMs };
}
