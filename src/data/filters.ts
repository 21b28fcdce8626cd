import { FacetError, unknownName } from "../errors.js";
import { type Row, textField } from "./rows.js";

const FILTERS: Record<string, (row: Row) => boolean> = {
  // The Keras tutorial keeps only the rows whose answer needs no passage beside the question.
  "no-context": (row) => (textField(row, "context") ?? "").trim() === "",
};

/** The names that `rowFilter` knows. */
const filterNames: readonly string[] = Object.keys(FILTERS);

/**
 * Whether a row passes every named filter. `no-context` keeps the rows whose `context` is empty or missing.
 * Throws a FacetError for an unknown filter.
 */
export function rowFilter(names: readonly string[]): (row: Row) => boolean {
  const filters = names.map((name) => {
    if (!Object.hasOwn(FILTERS, name)) throw unknownName("filter", name, filterNames);
    return FILTERS[name]!;
  });
  return (row) => filters.every((passes) => passes(row));
}

/** The error when the filters leave none of so many rows. */
export const allFilteredOut = (names: readonly string[], count: number): FacetError =>
  new FacetError(
    `No row is left: the filter ${names.join(", ")} removed all ${count}. Leave the filter out, or use other data.`,
  );

/** The rows that pass every named filter, in their order. Throws a FacetError for an unknown filter, and when no row is left. */
export function filterRows(rows: readonly Row[], names: readonly string[]): Row[] {
  const kept = rows.filter(rowFilter(names));
  if (kept.length === 0) throw allFilteredOut(names, rows.length);
  return kept;
}
