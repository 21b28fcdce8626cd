import { createHash } from "node:crypto";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { FacetError } from "../errors.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { contentFraction, fileDigest } from "./digest.js";
import { readDocuments } from "./documents.js";
import {
  bytesPerToken,
  type CorpusKey,
  readTokenCache,
  type TokenArray,
  writeTokenCache,
} from "./tokenCache.js";

/** Documents one after another, each as start token, text, end token. */
export interface TokenStream {
  readonly tokens: TokenArray;
  readonly documents: number;
  readonly bosId: number;
}

export interface Corpus {
  readonly train: TokenStream;
  /** Empty for a held-out fraction of 0. */
  readonly heldOut: TokenStream;
  /** Whether the cache had it. */
  readonly reused: boolean;
}

export interface CorpusOptions {
  /** UTF-8 text files; see `readDocuments` for what separates documents. */
  readonly files: readonly string[];
  readonly tokenizer: Tokenizer;
  /** Where the tokens are kept, with a JSON file of the same name and ".json" beside it. */
  readonly cacheFile: string;
  /** Share of the documents to hold out, in [0, 1), chosen by a hash of each: a document never changes sides. */
  readonly heldOut: number;
  /** Told after each read how many bytes of text are done. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
}

const VERSION = 1;

/**
 * The tokens of text files, from the cache where it holds them for the same texts, tokenizer and fraction.
 * Memory: the tokens, and one document's text.
 * Throws a FacetError for a file that is missing or not UTF-8, a cache folder that cannot be made, and when a part that should have documents has none.
 */
export async function tokenizeCorpus(options: CorpusOptions): Promise<Corpus> {
  const { files, tokenizer, cacheFile, heldOut } = options;
  if (!(heldOut >= 0 && heldOut < 1)) {
    throw new FacetError(
      `The held-out fraction must be at least 0 and less than 1; it is ${heldOut}.`,
    );
  }
  const key: CorpusKey = {
    version: VERSION,
    files: await Promise.all(files.map(fileDigest)),
    tokenizer: tokenizerDigest(tokenizer),
    vocabularySize: tokenizer.vocabularySize,
    heldOut,
  };
  const cached = await readTokenCache(cacheFile, key);
  if (cached) return { ...divide(cached.tokens, cached.manifest, tokenizer.bosId), reused: true };

  // Now rather than after minutes of encoding.
  await makeFolder(dirname(cacheFile));
  const parts = await encodeFiles(options);
  if (parts.train.documents === 0 || (heldOut > 0 && parts.heldOut.documents === 0)) {
    throw new FacetError(
      `A held-out fraction of ${heldOut} puts ${parts.train.documents} documents of ${files.join(", ") || "no files"} into training and ${parts.heldOut.documents} into evaluation. Give more text or another fraction.`,
    );
  }
  const train = parts.train.view();
  const tokens = tokenArray(tokenizer.vocabularySize, train.length + parts.heldOut.view().length);
  tokens.set(train);
  tokens.set(parts.heldOut.view(), train.length);
  const counts = {
    train: { tokens: train.length, documents: parts.train.documents },
    heldOut: { tokens: tokens.length - train.length, documents: parts.heldOut.documents },
  };
  writeTokenCache(cacheFile, tokens, { key, ...counts });
  return { ...divide(tokens, counts, tokenizer.bosId), reused: false };
}

async function encodeFiles({ files, tokenizer, heldOut, onProgress }: CorpusOptions) {
  const parts = {
    train: new TokenWriter(tokenizer),
    heldOut: new TokenWriter(tokenizer),
  };
  let total = 0;
  for (const file of files) total += (await stat(file)).size;
  let done = 0;
  for (const file of files) {
    const documents = readDocuments(file, (count) => {
      done += count;
      onProgress?.(done, total);
    });
    for await (const document of documents) {
      const part = contentFraction(document) < heldOut ? parts.heldOut : parts.train;
      part.add(document);
    }
  }
  return parts;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FacetError(
      `Cannot make the cache folder ${folder} (${reason}). Choose another place for the cache.`,
      { cause },
    );
  }
}

/** Tokens in an array that grows by doubling. */
class TokenWriter {
  documents = 0;
  private used = 0;
  private tokens: TokenArray;

  constructor(private readonly tokenizer: Tokenizer) {
    this.tokens = tokenArray(tokenizer.vocabularySize, 65_536);
  }

  add(document: string): void {
    const ids = this.tokenizer.encodeOrdinary(document);
    const end = this.used + ids.length + 2;
    if (end > this.tokens.length) {
      const grown = tokenArray(
        this.tokenizer.vocabularySize,
        Math.max(end, 2 * this.tokens.length),
      );
      grown.set(this.tokens);
      this.tokens = grown;
    }
    this.tokens[this.used] = this.tokenizer.bosId;
    this.tokens.set(ids, this.used + 1);
    this.tokens[end - 1] = this.tokenizer.eosId;
    this.used = end;
    this.documents += 1;
  }

  view(): TokenArray {
    return this.tokens.subarray(0, this.used);
  }
}

function tokenArray(vocabularySize: number, length: number): TokenArray {
  return bytesPerToken(vocabularySize) === 2 ? new Uint16Array(length) : new Uint32Array(length);
}

function divide(
  tokens: TokenArray,
  counts: {
    train: { tokens: number; documents: number };
    heldOut: { documents: number };
  },
  bosId: number,
): { train: TokenStream; heldOut: TokenStream } {
  const end = counts.train.tokens;
  return {
    train: { tokens: tokens.subarray(0, end), documents: counts.train.documents, bosId },
    heldOut: { tokens: tokens.subarray(end), documents: counts.heldOut.documents, bosId },
  };
}

// The vocabulary in order determines a BPE but for its treatment of spaces, digits, newlines and unknown characters.
const PROBE = " Ab  12 34\n\n\tα😀<eos>\u00a0e\u0301 ";

function tokenizerDigest(tokenizer: Tokenizer): string {
  const hash = createHash("sha256");
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    hash.update(`${JSON.stringify(tokenizer.idToPiece(id))}\n`);
  }
  hash.update(tokenizer.encode(PROBE).join(","));
  return hash.digest("hex");
}
