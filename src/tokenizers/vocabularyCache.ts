import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanTemporaries, writeFileAtomic } from "../formats/atomicFile.js";
import type { TokenizerModel } from "./tokenizerModel.js";
import { fromVocabularyBytes, vocabularyBytes } from "./vocabularyFile.js";

/** Smaller files are parsed as fast as anything could be read instead. */
const WORTH_KEEPING = 2 ** 20;

/**
 * What `make` makes of the bytes of a tokenizer's file, kept in the folder `cache` under a name made of their digest
 * and `way`, which says how they are read. A kept file that is damaged is made again; one that cannot be written is
 * left out.
 */
export function keptTokenizer(
  cache: string,
  source: Uint8Array,
  way: string,
  make: () => TokenizerModel,
): TokenizerModel {
  if (source.length < WORTH_KEEPING) return make();
  const key = createHash("sha256").update(`${way}\0`).update(source).digest("hex");
  const path = join(cache, `${key}.vocabulary`);
  const kept = readKept(path);
  if (kept !== undefined) return kept;
  const model = make();
  try {
    mkdirSync(cache, { recursive: true });
    cleanTemporaries(cache);
    writeFileAtomic(path, vocabularyBytes(model));
  } catch {
    // The next start takes as long as this one.
  }
  return model;
}

function readKept(path: string): TokenizerModel | undefined {
  try {
    return fromVocabularyBytes(readFileSync(path));
  } catch {
    return undefined;
  }
}
