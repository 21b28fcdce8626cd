import { readDocuments } from "./documents.js";
import { type Row, rowOf } from "./rows.js";

/** The documents of a text file as rows with the one field `text`; see `readDocuments` for where one ends. */
export async function* plainTextRows(path: string): AsyncGenerator<Row> {
  let number = 0;
  for await (const text of readDocuments(path))
    yield rowOf({ text }, { file: path, line: ++number, unit: "row" });
}
