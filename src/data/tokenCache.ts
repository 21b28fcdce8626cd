import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../formats/atomicFile.js";

/** What the tokens of a corpus were made from; a cache with another key is not used. */
export interface CorpusKey {
  /** Counts up when documents are cut or encoded otherwise. */
  readonly version: number;
  /** sha256 of each text file, in order. */
  readonly files: readonly string[];
  /** A digest of the tokenizer. */
  readonly tokenizer: string;
  readonly vocabularySize: number;
  readonly heldOut: number;
}

export interface PartCounts {
  readonly tokens: number;
  readonly documents: number;
}

/** The JSON beside the token file. */
export interface CacheManifest {
  readonly key: CorpusKey;
  /** 2 or 4. */
  readonly bytesPerToken: number;
  readonly train: PartCounts;
  /** Its tokens follow those for training in the file. */
  readonly heldOut: PartCounts;
  /** sha256 of the token file. */
  readonly sha256: string;
}

export type TokenArray = Uint16Array | Uint32Array;

/** Bytes that one token takes: 2 where every id fits in 16 bits, else 4. */
export function bytesPerToken(vocabularySize: number): 2 | 4 {
  return vocabularySize <= 65_536 ? 2 : 4;
}

/**
 * The cached tokens and their manifest, or undefined when there are none for this key, or the files do not agree
 * with each other: a cache is made again rather than complained about.
 */
export async function readTokenCache(
  cacheFile: string,
  key: CorpusKey,
): Promise<{ tokens: TokenArray; manifest: CacheManifest } | undefined> {
  let manifest: CacheManifest;
  let bytes: Uint8Array;
  try {
    // The key and the digest below are compared before any of it is believed.
    manifest = JSON.parse(await readFile(manifestPath(cacheFile), "utf8"));
    if (JSON.stringify(manifest.key) !== JSON.stringify(key)) return undefined;
    // Copied, because a typed array needs its first byte aligned.
    bytes = new Uint8Array(await readFile(cacheFile));
  } catch {
    return undefined;
  }
  if (sha256(bytes) !== manifest.sha256) return undefined;
  const tokens =
    bytesPerToken(key.vocabularySize) === 2
      ? new Uint16Array(bytes.buffer)
      : new Uint32Array(bytes.buffer);
  return { tokens, manifest };
}

/** Writes the tokens (little-endian), then the manifest that vouches for them. */
export function writeTokenCache(
  cacheFile: string,
  tokens: TokenArray,
  about: Pick<CacheManifest, "key" | "train" | "heldOut">,
): void {
  const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  const manifest: CacheManifest = {
    ...about,
    bytesPerToken: tokens.BYTES_PER_ELEMENT,
    sha256: sha256(bytes),
  };
  writeFileAtomic(cacheFile, bytes);
  writeFileAtomic(manifestPath(cacheFile), `${JSON.stringify(manifest, null, 2)}\n`);
}

function manifestPath(cacheFile: string): string {
  return `${cacheFile}.json`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
