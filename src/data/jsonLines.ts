import { FacetError } from "../errors.js";
import { type Row, rowOf } from "./rows.js";
import { fileLines } from "./textFile.js";

/** The rows of a JSON Lines file: one object per line; blank lines are skipped and counted in the line numbers. */
export async function* jsonLinesRows(path: string): AsyncGenerator<Row> {
  for await (const { text, line } of fileLines(path)) {
    if (text.trim() !== "") yield jsonLineRow(text, path, line);
  }
}

/** The row of one line. Throws a FacetError with file, line and column for what is no JSON object. */
export const jsonLineRow = (text: string, file: string, line: number): Row =>
  rowOf(parseJson(text, file, line), { file, line });

function parseJson(text: string, file: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const position = /at position (\d+)/.exec(message)?.[1];
    const column = position === undefined ? "" : `, column ${Number(position) + 1}`;
    const hint = /^\s*[[{]\s*$/.test(text)
      ? " It looks like one JSON value spread over several lines: write one object per line, or call the file .json."
      : "";
    throw new FacetError(`${file}, line ${line}${column}: invalid JSON (${message}).${hint}`, {
      cause,
    });
  }
}
