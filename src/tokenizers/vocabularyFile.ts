import { createHash } from "node:crypto";
import { PieceTable } from "./pieceTable.js";
import type { TokenizerModel } from "./tokenizerModel.js";

/**
 * A tokenizer with its tables as one file, which is read many times faster than what it was made from. Layout: sha256
 * of all that follows; the header's length, uint32; the header, JSON with spaces up to a multiple of 8; the arrays of
 * `arraysOf`, each from a multiple of 8 bytes, in this machine's byte order.
 */

/** Counts up when the arrays come to mean something else. */
const VERSION = 1;
const DIGEST = 32;

interface Header {
  readonly version: number;
  /** 1 where numbers are stored with their lowest byte first. */
  readonly order: number;
  readonly lengths: Readonly<Record<string, number>>;
  readonly model: Omit<
    TokenizerModel,
    "pieces" | "scores" | "types" | "table" | "merges" | "unkId" | "byteIds"
  > & { readonly unkId: number; readonly byteIds: readonly number[] | null };
}

const order = new Uint8Array(Uint16Array.of(1).buffer)[0]!;

const arraysOf = ({ table, merges, scores, types }: TokenizerModel) => ({
  ...table.arrays,
  ...merges,
  scores,
  types: Uint8Array.from(types),
});

const kinds = {
  slots: Int32Array,
  hashes: Int32Array,
  ends: Uint32Array,
  units: Uint16Array,
  ranks: Int32Array,
  pairs: Uint32Array,
  scores: Float32Array,
  types: Uint8Array,
} as const;

const aligned = (length: number) => Math.ceil(length / 8) * 8;

/** The bytes of the file. */
export function vocabularyBytes(model: TokenizerModel): Uint8Array {
  const { pieces: _, scores: __, types, table, merges, byteIds, ...scalars } = model;
  const arrays = arraysOf(model);
  const header: Header = {
    version: VERSION,
    order,
    lengths: Object.fromEntries(Object.entries(arrays).map(([name, { length }]) => [name, length])),
    model: { ...scalars, byteIds: byteIds ?? null },
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = aligned(DIGEST + 4 + text.length);
  const size = Object.values(arrays).reduce(
    (sum, { byteLength }) => sum + aligned(byteLength),
    start,
  );
  const bytes = new Uint8Array(size).fill(0x20, DIGEST + 4, start);
  new DataView(bytes.buffer).setUint32(DIGEST, start - DIGEST - 4, true);
  bytes.set(text, DIGEST + 4);
  let at = start;
  for (const name of Object.keys(kinds) as (keyof typeof kinds)[]) {
    const { buffer, byteOffset, byteLength } = arrays[name];
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += aligned(byteLength);
  }
  bytes.set(digestOf(bytes), 0);
  return bytes;
}

/** The tokenizer of such a file; undefined for one that is damaged, of another version or of another byte order. */
export function fromVocabularyBytes(file: Uint8Array): TokenizerModel | undefined {
  if (file.length < DIGEST + 4 || !digestOf(file).equals(file.subarray(0, DIGEST))) {
    return undefined;
  }
  // Arrays must begin where their type can.
  const bytes = file.byteOffset % 8 === 0 ? file : Uint8Array.from(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = DIGEST + 4 + view.getUint32(DIGEST, true);
  // What the digest vouches for was written by `vocabularyBytes`, of this version or another.
  const header: Header = JSON.parse(new TextDecoder().decode(bytes.subarray(DIGEST + 4, at)));
  if (header.version !== VERSION || header.order !== order) return undefined;
  const next = <N extends keyof typeof kinds>(name: N) => {
    const array = new kinds[name](
      bytes.buffer as ArrayBuffer,
      bytes.byteOffset + at,
      header.lengths[name],
    ) as InstanceType<(typeof kinds)[N]>;
    at += aligned(array.byteLength);
    return array;
  };
  const arrays = {
    slots: next("slots"),
    hashes: next("hashes"),
    ends: next("ends"),
    units: next("units"),
  };
  const merges = { ranks: next("ranks"), pairs: next("pairs") };
  const scores = next("scores");
  const types = Array.from(next("types"));
  const table = new PieceTable(arrays);
  const { byteIds, ...scalars } = header.model;
  let pieces: string[] | undefined;
  return {
    ...scalars,
    byteIds: byteIds ?? undefined,
    scores,
    types,
    table,
    merges,
    // Most of what uses a tokenizer needs no list of strings.
    get pieces() {
      pieces ??= Array.from({ length: table.size }, (_, id) => table.pieceOf(id));
      return pieces;
    },
  };
}

const digestOf = (bytes: Uint8Array): Buffer =>
  createHash("sha256").update(bytes.subarray(DIGEST)).digest();
