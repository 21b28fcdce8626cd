import type { Row } from "../../src/data/rows.js";

/** A row with these fields, as if it were read from a file. */
export function rowOf(fields: Record<string, string>, line = 1): Row {
  return { file: "rows.jsonl", line, fields, nonText: {} };
}
