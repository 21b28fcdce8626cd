import {
  integerField,
  optionalInteger,
  readStruct,
  type Struct,
  structField,
  structsField,
  textOf,
} from "./thrift.js";

/** A column at the top of the schema. */
export interface ParquetColumn {
  readonly name: string;
  /** Text is read. Of other values only what they are is known, such as "a number". */
  readonly holds: "text" | { readonly other: string };
  /** Whether its values may be missing; undefined for lists and structures, whose values are not looked at. */
  readonly optional: boolean | undefined;
}

/** Where the values of a column in a group of rows are. */
export interface ColumnChunk {
  readonly column: ParquetColumn;
  readonly codec: number;
  /** Place in the file, in bytes. */
  readonly start: number;
  readonly end: number;
  /** Values, missing ones included. */
  readonly rows: number;
}

export interface RowGroup {
  readonly rows: number;
  readonly chunks: readonly ColumnChunk[];
}

export interface ParquetMetadata {
  readonly columns: readonly ParquetColumn[];
  readonly groups: readonly RowGroup[];
}

/** Rows that a file may claim: a run of equal values says any number in a few bytes, but nobody can learn from those. */
const ROWS = { fixed: 10_000, perByte: 100 };

/**
 * What the footer of a Parquet file says, for a file of `size` bytes. Columns are those at the top of the schema; only
 * those that are not nested have chunks. Throws an Error for what contradicts itself, and for data that is in another
 * file or lies outside of this one. Source: parquet.thrift of Apache Parquet.
 */
export function readMetadata(footer: Buffer, size: number): ParquetMetadata {
  const { struct } = readStruct(footer);
  const columns = schemaColumns(structsField(struct, 2, "what its columns are"));
  const names = new Set<string>();
  for (const { name } of columns) {
    if (names.has(name)) throw new Error(`the column "${name}" occurs twice`);
    names.add(name);
  }
  const groups = structsField(struct, 4, "where its rows are").map((group) =>
    rowGroup(group, columns, size),
  );
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  const claimed = integerField(struct, 3, "how many rows it has");
  if (rows !== claimed) throw new Error(`it claims ${claimed} rows, and its groups ${rows}`);
  if (rows > ROWS.fixed + ROWS.perByte * size) {
    throw new Error(`it claims ${rows} rows in ${size} bytes`);
  }
  const bytes = groups
    .flatMap(({ chunks }) => chunks)
    .reduce((sum, { start, end }) => sum + end - start, 0);
  if (bytes > size) throw new Error("its columns lie over each other");
  return { columns, groups };
}

const REPEATED = 2;

function schemaColumns(elements: readonly Struct[]): ParquetColumn[] {
  let next = 1;
  const skip = (): void => {
    const element = elements[next++];
    if (element === undefined) throw new Error("its list of columns is cut off");
    // What is below comes after it. A counter, not recursion, so that a deep schema needs no deep stack.
    for (let open = childrenOf(element); open > 0; open--) {
      const below = elements[next++];
      if (below === undefined) throw new Error("its list of columns is cut off");
      open += childrenOf(below);
    }
  };
  const columns: ParquetColumn[] = [];
  const count = elements[0] === undefined ? 0 : childrenOf(elements[0]);
  for (let i = 0; i < count; i++) {
    const element = elements[next];
    skip();
    columns.push(columnOf(element!));
  }
  if (next !== elements.length) throw new Error("it has columns that belong to none");
  return columns;
}

function childrenOf(element: Struct): number {
  const count = optionalInteger(element, 5, "how many columns are below one") ?? 0;
  if (count < 0) throw new Error("it has less than no columns");
  return count;
}

function columnOf(element: Struct): ParquetColumn {
  const name = textOf(element.get(4), "what a column is called");
  const repetition = optionalInteger(element, 3, "whether values may be missing") ?? 0;
  const converted = optionalInteger(element, 6, "what a column is") ?? -1;
  const logical = element.has(10) ? structField(element, 10, "what a column is") : undefined;
  if (repetition === REPEATED || childrenOf(element) > 0) {
    const isList = repetition === REPEATED || converted === 3 || logical?.has(3) === true;
    return { name, holds: { other: isList ? "a list" : "an object" }, optional: undefined };
  }
  const type = integerField(element, 1, "what a column is");
  const isText =
    type === 6 &&
    (converted === -1 || converted === 0 || converted === 4) &&
    (logical === undefined || logical.has(1) || logical.has(4));
  const other = type === 0 ? "a boolean" : type === 6 || type === 7 ? "bytes" : "a number";
  return { name, holds: isText ? "text" : { other }, optional: repetition === 1 };
}

function rowGroup(group: Struct, columns: readonly ParquetColumn[], size: number): RowGroup {
  const rows = integerField(group, 3, "how many rows are in a group");
  if (rows < 0) throw new Error("a group has less than no rows");
  const found = new Map<string, Struct>();
  for (const chunk of structsField(group, 1, "where its columns are")) {
    if (chunk.has(1)) throw new Error("its data is in another file");
    const data = structField(chunk, 3, "where a column is (it may be encrypted)");
    const path = data.get(3);
    if (!Array.isArray(path)) throw new Error("it does not say what a column is called");
    if (path.length === 1) found.set(textOf(path[0], "what a column is called"), data);
  }
  const chunks = columns
    .filter((column) => column.optional !== undefined)
    .map((column) => {
      const data = found.get(column.name);
      if (data === undefined) throw new Error(`the column "${column.name}" is missing`);
      return columnChunk(data, column, rows, size);
    });
  return { rows, chunks };
}

function columnChunk(data: Struct, column: ParquetColumn, rows: number, size: number): ColumnChunk {
  const where = "where a column is";
  const first = integerField(data, 9, where);
  const dictionary = optionalInteger(data, 11, where) ?? 0;
  // Some writers leave 0 for no dictionary.
  const start = dictionary > 0 ? Math.min(first, dictionary) : first;
  const length = integerField(data, 7, where);
  if (start < 0 || length < 0 || start + length > size) {
    throw new Error(`the column "${column.name}" lies outside of it`);
  }
  const values = integerField(data, 5, "how many values a column has");
  if (values !== rows) {
    throw new Error(`the column "${column.name}" claims ${values} values for ${rows} rows`);
  }
  const codec = integerField(data, 4, "how a column is compressed");
  return { column, codec, start, end: start + length, rows };
}
