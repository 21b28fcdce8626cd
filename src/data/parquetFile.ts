import { FacetError } from "../errors.js";
import { parquetRecords } from "../formats/parquet/records.js";
import { type Row, rowOf } from "./rows.js";
import { unreadable } from "./unreadable.js";

/** The rows of a Parquet file, read page by page. Throws a FacetError with the number of rows before it for a damaged file. */
export async function* parquetRows(path: string): AsyncGenerator<Row> {
  let line = 0;
  try {
    for await (const record of parquetRecords(path))
      yield rowOf(record, { file: path, line: ++line, unit: "row" });
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
