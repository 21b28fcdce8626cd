import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { FacetError } from "../errors.js";
import { type Row, rowOf } from "./rows.js";

/** Rows that are in memory at once. */
const STRETCH = 1000;

/** The rows of a Parquet file, some at a time. Throws a FacetError for a damaged file. */
export async function* parquetRows(path: string): AsyncGenerator<Row> {
  const broken = (cause: unknown) =>
    new FacetError(`${path} is no Parquet file that can be read: ${(cause as Error).message}.`, {
      cause,
    });
  let file: AsyncBuffer;
  let metadata: FileMetaData;
  try {
    file = await asyncBufferFromFile(path);
    metadata = await parquetMetadataAsync(file);
  } catch (cause) {
    throw broken(cause);
  }
  const count = Number(metadata.num_rows);
  for (let rowStart = 0; rowStart < count; rowStart += STRETCH) {
    const rowEnd = Math.min(count, rowStart + STRETCH);
    let values: Record<string, unknown>[];
    try {
      values = await parquetReadObjects({ file, metadata, rowStart, rowEnd, compressors });
    } catch (cause) {
      throw broken(cause);
    }
    for (const [i, value] of values.entries()) yield rowOf(value, path, rowStart + i + 1);
  }
}
