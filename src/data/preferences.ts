import { FacetError } from "../errors.js";
import type { Row } from "./rows.js";
import type { RowTemplate } from "./rowTemplate.js";

/** The row with its rejected answer in the place of the chosen one: any template then renders the other text of the pair. */
export function withRejected(row: Row): Row {
  const swap = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(
      Object.entries(record)
        .filter(([name]) => name !== "chosen")
        .map(([name, value]) => [name === "rejected" ? "chosen" : name, value]),
    );
  return { ...row, fields: swap(row.fields), nonText: swap(row.nonText) };
}

/** Throws a FacetError for a template that does not render the chosen answer: its rows are no preferences. */
export function requirePairs({ name, fields }: RowTemplate, files: readonly string[]): void {
  if (fields.includes("chosen")) return;
  throw new FacetError(
    `${files.join(", ")}: not preferences. A preference has the fields prompt, chosen and rejected; the template ${JSON.stringify(name)} uses ${fields.join(", ")}. ` +
      "Say which columns they are, for example --columns prompt=question,chosen=better,rejected=worse.",
  );
}
