import type { ColumnChunk } from "./metadata.js";
import {
  EndsEarly,
  integerField,
  optionalInteger,
  readStruct,
  type Struct,
  structField,
} from "./thrift.js";
import type { Unpack } from "./unpack.js";

/** Values of a column that are stored together. */
export interface Page {
  readonly kind: "dictionary" | "data";
  /** Missing ones included. */
  readonly count: number;
  readonly encoding: number;
  /** For each value whether it is there, as runs of one bit; undefined in a column where none may be missing. */
  readonly levels: Buffer | undefined;
  readonly values: Buffer;
}

/** Reads that many bytes of the file from a place on. */
export type ReadAt = (start: number, length: number) => Buffer;

/** Bytes read to find a page's header, which is longer where it holds the least and the greatest text. */
const HEADER = 256;
const RLE = 3;

/**
 * The pages of a column's chunk, one in memory at a time. Throws an Error for what contradicts itself.
 * Source: Apache Parquet's README.md, data pages v1 and v2.
 */
export function* pagesOf(chunk: ColumnChunk, read: ReadAt, unpack: Unpack): Generator<Page> {
  let seen = 0;
  for (let at = chunk.start; seen < chunk.rows; ) {
    const { struct, length } = headerAt(at, chunk.end, read);
    at += length;
    const packed = integerField(struct, 3, "how long a page is");
    if (packed < 0 || at + packed > chunk.end) throw new Error("a page goes beyond its column");
    const page = pageOf(struct, read(at, packed), chunk, unpack);
    at += packed;
    if (page === undefined) continue;
    if (page.kind === "data") seen += page.count;
    if (page.count < 0 || seen > chunk.rows) {
      throw new Error(`the column "${chunk.column.name}" has more values than rows`);
    }
    yield page;
  }
}

function headerAt(at: number, end: number, read: ReadAt): { struct: Struct; length: number } {
  for (let window = HEADER; ; window *= 16) {
    const length = Math.min(window, end - at);
    try {
      return readStruct(read(at, length));
    } catch (error) {
      if (!(error instanceof EndsEarly) || length < window) throw error;
    }
  }
}

/** Undefined for a page that holds no values. */
function pageOf(
  header: Struct,
  bytes: Buffer,
  { column }: ColumnChunk,
  unpack: Unpack,
): Page | undefined {
  const type = integerField(header, 1, "what a page is");
  const size = integerField(header, 2, "how long a page is unpacked");
  if (type === 0) {
    const data = structField(header, 5, "what a page holds");
    const page = buffer(unpack(bytes, size));
    const [levels, values] = column.optional ? leveled(page, data) : [undefined, page];
    return { kind: "data", ...counted(data, 2), levels, values };
  }
  if (type === 2) {
    const values = buffer(unpack(bytes, size));
    return {
      kind: "dictionary",
      ...counted(structField(header, 7, "what a page holds"), 2),
      levels: undefined,
      values,
    };
  }
  if (type !== 3) return undefined;
  const data = structField(header, 8, "what a page holds");
  const length = integerField(data, 5, "how long a page's levels are");
  const repetition = integerField(data, 6, "how long a page's levels are");
  if (repetition !== 0 || length < 0 || length > bytes.length) {
    throw new Error("a page has levels that its column does not have");
  }
  const rest = bytes.subarray(length);
  const values = data.get(7) === false ? rest : buffer(unpack(rest, size - length));
  return {
    kind: "data",
    ...counted(data, 4),
    levels: column.optional ? bytes.subarray(0, length) : undefined,
    values,
  };
}

const counted = (data: Struct, encoding: number) => ({
  count: integerField(data, 1, "how many values a page has"),
  encoding: optionalInteger(data, encoding, "how a page is encoded") ?? 0,
});

const buffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** The levels of an older page, behind their length, and the values after them. */
function leveled(page: Buffer, data: Struct): [Buffer, Buffer] {
  if (integerField(data, 3, "how its levels are encoded") !== RLE) {
    throw new Error("its levels are encoded in a way that is not known");
  }
  const length = page.length < 4 ? Number.POSITIVE_INFINITY : page.readUInt32LE(0);
  if (length > page.length - 4) throw new Error("a page ends before its levels");
  return [page.subarray(4, 4 + length), page.subarray(4 + length)];
}
