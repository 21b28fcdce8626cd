import type { ColumnChunk } from "./metadata.js";
import type { SchemaNode } from "./schema.js";
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
  /** Levels of each value as runs (see `runs`): which list it goes on with, and how much of it is there. Undefined where all are 0. */
  readonly repetition: Buffer | undefined;
  readonly definition: Buffer | undefined;
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
  for (let at = chunk.start; seen < chunk.count; ) {
    const { struct, length } = headerAt(at, chunk.end, read);
    at += length;
    const packed = integerField(struct, 3, "how long a page is");
    if (packed < 0 || at + packed > chunk.end) throw new Error("a page goes beyond its column");
    const page = pageOf(struct, read(at, packed), chunk.node, unpack);
    at += packed;
    if (page === undefined) continue;
    if (page.kind === "data") seen += page.count;
    if (page.count < 0 || seen > chunk.count) {
      throw new Error(`the column "${chunk.node.path.join(".")}" has more values than it says`);
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
function pageOf(header: Struct, bytes: Buffer, node: SchemaNode, unpack: Unpack): Page | undefined {
  const type = integerField(header, 1, "what a page is");
  const size = integerField(header, 2, "how long a page is unpacked");
  if (type === 0) {
    const data = structField(header, 5, "what a page holds");
    return {
      kind: "data",
      ...counted(data, 2),
      ...leveled(buffer(unpack(bytes, size)), data, node),
    };
  }
  if (type === 2) {
    const data = structField(header, 7, "what a page holds");
    const values = buffer(unpack(bytes, size));
    return {
      kind: "dictionary",
      ...counted(data, 2),
      repetition: undefined,
      definition: undefined,
      values,
    };
  }
  if (type !== 3) return undefined;
  const data = structField(header, 8, "what a page holds");
  const definition = integerField(data, 5, "how long a page's levels are");
  const repetition = integerField(data, 6, "how long a page's levels are");
  const levels = repetition + definition;
  if (repetition < 0 || definition < 0 || levels > bytes.length) {
    throw new Error("a page ends before its levels");
  }
  const rest = bytes.subarray(levels);
  return {
    kind: "data",
    ...counted(data, 4),
    repetition: node.repeats > 0 ? bytes.subarray(0, repetition) : undefined,
    definition: node.definition > 0 ? bytes.subarray(repetition, levels) : undefined,
    values: data.get(7) === false ? rest : buffer(unpack(rest, size - levels)),
  };
}

const counted = (data: Struct, encoding: number) => ({
  count: integerField(data, 1, "how many values a page has"),
  encoding: optionalInteger(data, encoding, "how a page is encoded") ?? 0,
});

const buffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** The levels of an older page, each behind their length, and the values after them. */
function leveled(page: Buffer, data: Struct, node: SchemaNode) {
  let at = 0;
  const levels = (most: number, encoding: number): Buffer | undefined => {
    if (most === 0) return undefined;
    if (integerField(data, encoding, "how its levels are encoded") !== RLE) {
      throw new Error("its levels are encoded in a way that is not known");
    }
    const start = at + 4;
    at = start > page.length ? Number.POSITIVE_INFINITY : start + page.readUInt32LE(at);
    if (at > page.length) throw new Error("a page ends before its levels");
    return page.subarray(start, at);
  };
  const repetition = levels(node.repeats, 4);
  const definition = levels(node.definition, 3);
  return { repetition, definition, values: page.subarray(at) };
}
