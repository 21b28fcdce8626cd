import { statSync } from "node:fs";
import {
  type AsyncBuffer,
  type Compressors,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { FacetError } from "../errors.js";
import { readFully, withFile } from "../formats/exactRead.js";
import { type Row, rowOf } from "./rows.js";
import { unreadable } from "./unreadable.js";

/**
 * The rows of a Parquet file, a group of rows in memory at a time. Columns of lists and structures are named, not read.
 * Throws a FacetError for a damaged file.
 */
export async function* parquetRows(path: string): AsyncGenerator<Row> {
  const groups = rowGroups(path);
  let line = 0;
  for (;;) {
    let group: IteratorResult<Record<string, unknown>[], void>;
    try {
      group = await groups.next();
    } catch (cause) {
      if (cause instanceof FacetError) throw cause;
      throw new FacetError(
        `${path} is no Parquet file that can be read: ${(cause as Error).message}.`,
        { cause },
      );
    }
    if (group.done) return;
    for (const value of group.value) yield rowOf(value, path, ++line);
  }
}

async function* rowGroups(path: string): AsyncGenerator<Record<string, unknown>[]> {
  const file = bufferOf(path);
  const metadata = await parquetMetadataAsync(file);
  const columns = parquetSchema(metadata).children;
  const flat = columns.filter(({ children }) => children.length === 0).map((c) => c.element.name);
  const nested = Object.fromEntries(
    columns
      .filter(({ children }) => children.length > 0)
      .map(({ element }) => [element.name, element.converted_type === "LIST" ? [] : {}]),
  );
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows);
    let rows: Record<string, unknown>[] | undefined;
    // One column after the other: of two that fail at once the library would leave one failure to end the process.
    for (const name of flat) {
      const values = await parquetReadObjects({
        ...{ file, metadata, rowStart, rowEnd, compressors: careful, columns: [name] },
      });
      // The number of rows is what a file claims.
      if (values.length !== rowEnd - rowStart) {
        throw new Error(`it claims ${rowEnd} rows and has ${rowStart + values.length}`);
      }
      if (rows === undefined) rows = values;
      else for (const [i, value] of values.entries()) Object.assign(rows[i]!, value);
    }
    if (rows === undefined) throw new Error("it has no column of plain values");
    for (const row of rows) Object.assign(row, nested);
    yield rows;
    rowStart = rowEnd;
  }
}

/** The file as the library wants it. What it asks for is there at once, so that nothing goes on after a failure. */
function bufferOf(path: string): AsyncBuffer {
  let byteLength: number;
  try {
    byteLength = statSync(path).size;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return {
    byteLength,
    slice(start, end = byteLength) {
      if (!(start >= 0 && start <= end && end <= byteLength)) {
        throw new Error("it points outside of itself");
      }
      const bytes = new Uint8Array(end - start);
      withFile(path, (handle) => readFully(handle, bytes, start, path));
      return bytes.buffer;
    },
  };
}

/** Bytes that a page may unpack to: no packing makes a thousandth of real text. */
const UNPACKED = { fixed: 1 << 20, perByte: 1000 };

const careful: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (length > UNPACKED.fixed + UNPACKED.perByte * input.length) {
        throw new Error(`a page of ${input.length} bytes would unpack to ${length}`);
      }
      return unpack(input, length);
    },
  ]),
);
