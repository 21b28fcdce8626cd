import { FacetError } from "../errors.js";
import { type Cell, parquetRecords } from "../formats/parquet/records.js";
import type { Row } from "./rows.js";
import { unreadable } from "./unreadable.js";

/** The rows of a Parquet file, read page by page. Throws a FacetError with the number of rows before it for a damaged file. */
export async function* parquetRows(path: string): AsyncGenerator<Row> {
  let line = 0;
  try {
    for await (const cells of parquetRecords(path)) yield rowOfCells(cells, path, ++line);
  } catch (cause) {
    if (cause instanceof FacetError) throw cause;
    const { message, syscall } = cause as NodeJS.ErrnoException;
    if (syscall !== undefined) throw unreadable(path, cause);
    throw new FacetError(
      `${path} is no Parquet file that can be read: ${message} (after row ${line}). Get it again.`,
      { cause },
    );
  }
}

function rowOfCells(cells: readonly [string, Cell][], file: string, line: number): Row {
  const texts: [string, string][] = [];
  const other: [string, string][] = [];
  for (const [name, cell] of cells) {
    if (typeof cell === "string") texts.push([name, cell]);
    else if (cell !== null) other.push([name, cell.other]);
  }
  return { file, line, fields: Object.fromEntries(texts), nonText: Object.fromEntries(other) };
}
