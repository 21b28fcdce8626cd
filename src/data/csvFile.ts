import { Readable } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { FacetError } from "../errors.js";
import { type Row, rowOf } from "./rows.js";
import { fileText } from "./textFile.js";

interface Parsed {
  readonly record: Record<string, string>;
  readonly info: { readonly lines: number };
}

/**
 * The rows of a file of separated values (RFC 4180), read piece by piece; the first line names the fields. A row's line is
 * that on which it ends. Throws a FacetError with the line for a row with more or fewer fields, an open quote, and a name that occurs
 * twice or is missing.
 */
export async function* csvRows(path: string, delimiter: "," | "\t"): AsyncGenerator<Row> {
  const parser = Readable.from(fileText(path)).compose(
    parse({
      columns: (names: string[]) => requireNames(names, path),
      ...{ delimiter, info: true, skip_empty_lines: true, relax_quotes: delimiter === "\t" },
    }),
  );
  try {
    for await (const { record, info } of parser as AsyncIterable<Parsed>) {
      yield rowOf(record, { file: path, line: info.lines });
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new FacetError(`${path}: ${cause.message}.`, { cause });
  }
}

function requireNames(names: readonly string[], path: string): string[] {
  const trimmed = names.map((name) => name.trim());
  const bad = trimmed.find((name, i) => name === "" || trimmed.indexOf(name) !== i);
  if (bad === undefined) return trimmed;
  throw new FacetError(
    `${path}, line 1: ${bad === "" ? "a column has no name" : `the column "${bad}" occurs twice`}. The first line names the columns.`,
  );
}
