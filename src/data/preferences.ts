import type { Row } from "./rows.js";

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
