import { FacetError } from "../errors.js";
import type { Row } from "./rows.js";

/** The schemas that Facet knows without being told: Dolly's, plain text, and prompt with completion. */
export type RowFormat = "dolly" | "prompt-completion" | "text";

const FIELDS: Record<RowFormat, readonly string[]> = {
  dolly: ["instruction", "response"],
  "prompt-completion": ["prompt", "completion"],
  text: ["text"],
};

/** The first known format of which some row has all fields. Throws a FacetError naming the fields there are. */
export function rowFormat(rows: readonly Row[]): RowFormat {
  for (const format of ["dolly", "prompt-completion", "text"] as const) {
    const complete = (row: Row) =>
      FIELDS[format].every((field) => Object.hasOwn(row.fields, field));
    if (rows.some(complete)) return format;
  }
  const found = new Set(rows.flatMap((row) => Object.keys(row.fields)));
  const first = rows[0];
  throw new FacetError(
    `${first === undefined ? "No rows" : first.file}: unknown format. ` +
      `Known: {instruction, response}, {prompt, completion}, {text}; found the text fields: ${[...found].join(", ") || "none"}. ` +
      "Name your fields in a template, for example --template 'Q: {question}\nA: {answer}'.",
  );
}
