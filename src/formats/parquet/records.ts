import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, openSync } from "node:fs";
import { readFully } from "../exactRead.js";
import {
  type ColumnChunk,
  type ParquetColumn,
  type ParquetMetadata,
  readMetadata,
} from "./metadata.js";
import { type Page, pagesOf, type ReadAt } from "./pages.js";
import { type Unpack, unpackerOf } from "./unpack.js";
import {
  deltaBytes,
  deltaLengthBytes,
  dictionaryValues,
  type Next,
  plainBytes,
  runs,
} from "./values.js";

/** What a column has in a row: text, nothing, or something else, such as "a number". */
export type Cell = string | null | { readonly other: string };

/** The largest footer; as objects it takes up to fifty times its size. */
const MAX_FOOTER = 1 << 26;
const NOT_TEXT: Cell = { other: "bytes that are no UTF-8 text" };

/**
 * The rows of a Parquet file, in the order of their columns' names. Of every column one page is in memory at a time.
 * Throws an Error, which says what is wrong with the file, for one that is damaged or made to harm; and the system's own for
 * one that cannot be read.
 */
export async function* parquetRecords(path: string): AsyncGenerator<[name: string, Cell][]> {
  const file = openSync(path, "r");
  try {
    const read: ReadAt = (start, length) => {
      const bytes = Buffer.alloc(length);
      readFully(file, bytes, start, path);
      return bytes;
    };
    const { columns, groups } = footerOf(read, fstatSync(file).size);
    for (const { rows, chunks } of groups) {
      const cells = new Map<ParquetColumn, Iterator<Cell, void>>();
      for (const chunk of chunks) {
        cells.set(chunk.column, cellsOf(chunk, read, await unpackerOf(chunk.codec)));
      }
      for (let row = 0; row < rows; row++) {
        yield columns.map((column) => [column.name, cellOf(column, cells.get(column))]);
      }
    }
  } finally {
    closeSync(file);
  }
}

function footerOf(read: ReadAt, size: number): ParquetMetadata {
  const end = size < 12 ? undefined : read(size - 8, 8);
  if (end?.toString("latin1", 4) !== "PAR1") throw new Error("it does not end as one");
  const length = end.readUInt32LE(0);
  if (length > size - 12) throw new Error("its footer is longer than the file");
  if (length > MAX_FOOTER) throw new Error(`its footer has more than ${MAX_FOOTER} bytes`);
  return readMetadata(read(size - 8 - length, length), size);
}

function cellOf(column: ParquetColumn, cells: Iterator<Cell, void> | undefined): Cell {
  // A nested column, whose values are not looked at.
  if (cells === undefined) return column.holds === "text" ? null : column.holds;
  const { value } = cells.next();
  if (value === undefined)
    throw new Error(`the column "${column.name}" has fewer values than rows`);
  return value;
}

function* cellsOf(chunk: ColumnChunk, read: ReadAt, unpack: Unpack): Generator<Cell, void> {
  const { holds, optional } = chunk.column;
  // Where nothing may be missing and no text is wanted, nothing has to be read.
  if (holds !== "text" && !optional) {
    for (let row = 0; row < chunk.rows; row++) yield holds;
    return;
  }
  let dictionary: Cell[] | undefined;
  for (const page of pagesOf(chunk, read, unpack)) {
    if (page.kind === "dictionary") {
      if (holds === "text") dictionary = dictionaryOf(page);
      continue;
    }
    const isThere = page.levels && runs(page.levels, 1);
    const next: Next<Cell> = holds === "text" ? textsOf(page, dictionary) : () => holds;
    for (let i = 0; i < page.count; i++) yield isThere?.() === 0 ? null : next();
  }
}

function dictionaryOf({ count, values }: Page): Cell[] {
  const next = plainBytes(values);
  const cells: Cell[] = [];
  // Each takes four bytes at least, so a count that is a lie ends here.
  for (let i = 0; i < count; i++) cells.push(textOf(next()));
  return cells;
}

/** The texts of a page, by the number of its encoding in parquet.thrift. */
function textsOf(
  { count, encoding, values }: Page,
  dictionary: readonly Cell[] | undefined,
): Next<Cell> {
  if (encoding === 2 || encoding === 8) {
    if (dictionary === undefined) throw new Error("a page needs a dictionary that is not there");
    return dictionaryValues(values, dictionary);
  }
  const decode = { 0: plainBytes, 6: deltaLengthBytes, 7: deltaBytes }[encoding];
  if (decode === undefined)
    throw new Error(`text is encoded in a way (${encoding}) that is not known`);
  const next = decode(values, count);
  return () => textOf(next());
}

const textOf = (bytes: Buffer): Cell => (isUtf8(bytes) ? bytes.toString("utf8") : NOT_TEXT);
