import { leavesOf, readSchema, type SchemaNode } from "./schema.js";
import {
  integerField,
  optionalInteger,
  readStruct,
  type Struct,
  structField,
  structsField,
  textOf,
} from "./thrift.js";

/** Where the values of a column in a group of rows are. */
export interface ColumnChunk {
  readonly node: SchemaNode;
  readonly codec: number;
  /** Place in the file, in bytes. */
  readonly start: number;
  readonly end: number;
  /** Values, missing ones included; of a list its items, and one for an empty list. */
  readonly count: number;
}

export interface RowGroup {
  readonly rows: number;
  /** One for each node without children, in their order. */
  readonly chunks: readonly ColumnChunk[];
}

export interface ParquetMetadata {
  readonly columns: readonly SchemaNode[];
  readonly groups: readonly RowGroup[];
}

/**
 * Values that one column, and all of them, may claim: a run of equal values says any number in a few bytes, but nobody
 * learns from those.
 */
const VALUES = { fixed: 10_000, perByte: 10 };
const ALL_VALUES = { fixed: 100_000, perByte: 50 };

/**
 * What the footer of a Parquet file says, for a file of `size` bytes. Throws an Error for what contradicts itself, and
 * for data that is in another file or lies outside of this one. Source: parquet.thrift of Apache Parquet.
 */
export function readMetadata(footer: Buffer, size: number): ParquetMetadata {
  const { struct } = readStruct(footer);
  const columns = readSchema(structsField(struct, 2, "what its columns are"));
  const leaves = columns.flatMap(leavesOf);
  const groups = structsField(struct, 4, "where its rows are").map((group) =>
    rowGroup(group, leaves, size),
  );
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  const claimed = integerField(struct, 3, "how many rows it has");
  if (rows !== claimed) throw new Error(`it claims ${claimed} rows, and its groups ${rows}`);
  const most = VALUES.fixed + VALUES.perByte * size;
  if (rows > most) throw new Error(`it claims ${rows} rows in ${size} bytes`);
  const chunks = groups.flatMap((group) => group.chunks);
  for (const [i, { name }] of leaves.entries()) {
    const count = groups.reduce((sum, group) => sum + group.chunks[i]!.count, 0);
    if (count > most) throw new Error(`"${name}" claims ${count} values in ${size} bytes`);
  }
  const all = chunks.reduce((sum, { count }) => sum + count, 0);
  if (all > ALL_VALUES.fixed + ALL_VALUES.perByte * size) {
    throw new Error(`its columns claim ${all} values in ${size} bytes`);
  }
  const bytes = chunks.reduce((sum, { start, end }) => sum + end - start, 0);
  if (bytes > size) throw new Error("its columns lie over each other");
  return { columns, groups };
}

function rowGroup(group: Struct, leaves: readonly SchemaNode[], size: number): RowGroup {
  const rows = integerField(group, 3, "how many rows are in a group");
  if (rows < 0) throw new Error("a group has less than no rows");
  const found = new Map<string, Struct>();
  for (const chunk of structsField(group, 1, "where its columns are")) {
    if (chunk.has(1)) throw new Error("its data is in another file");
    const data = structField(chunk, 3, "where a column is (it may be encrypted)");
    const path = data.get(3);
    if (!Array.isArray(path)) throw new Error("it does not say what a column is called");
    found.set(keyOf(path.map((name) => textOf(name, "what a column is called"))), data);
  }
  const chunks = leaves.map((node) => {
    const data = found.get(keyOf(node.path));
    if (data === undefined) throw new Error(`the column "${node.path.join(".")}" is missing`);
    return columnChunk(data, node, rows, size);
  });
  return { rows, chunks };
}

const keyOf = (path: readonly string[]) => JSON.stringify(path);

function columnChunk(data: Struct, node: SchemaNode, rows: number, size: number): ColumnChunk {
  const where = "where a column is";
  const first = integerField(data, 9, where);
  const dictionary = optionalInteger(data, 11, where) ?? 0;
  // Some writers leave 0 for no dictionary.
  const start = dictionary > 0 ? Math.min(first, dictionary) : first;
  const length = integerField(data, 7, where);
  if (start < 0 || length < 0 || start + length > size) {
    throw new Error(`the column "${node.path.join(".")}" lies outside of it`);
  }
  const count = integerField(data, 5, "how many values a column has");
  if (node.repeats === 0 ? count !== rows : count < rows) {
    throw new Error(`the column "${node.path.join(".")}" claims ${count} values for ${rows} rows`);
  }
  const codec = integerField(data, 4, "how a column is compressed");
  return { node, codec, start, end: start + length, count };
}
