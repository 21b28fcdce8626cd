import { FacetError, unknownName } from "../errors.js";
import { type Row, textField } from "./rows.js";

const FILTERS: Record<string, (row: Row) => boolean> = {
  // The Keras tutorial keeps only the rows whose answer needs no passage beside the question.
  "no-context": (row) => (textField(row, "context") ?? "").trim() === "",
};

/** The names that `filterRows` knows. */
const filterNames: readonly string[] = Object.keys(FILTERS);

/**
 * The rows that pass every named filter, in their order. `no-context` keeps the rows whose `context` is empty or missing.
 * Throws a FacetError for an unknown filter, and when no row is left.
 */
export function filterRows(rows: readonly Row[], names: readonly string[]): Row[] {
  const filters = names.map((name) => {
    if (!Object.hasOwn(FILTERS, name)) throw unknownName("filter", name, filterNames);
    return FILTERS[name]!;
  });
  const kept = rows.filter((row) => filters.every((passes) => passes(row)));
  if (kept.length === 0) {
    throw new FacetError(
      `No row is left: the filter ${names.join(", ")} removed all ${rows.length}. Leave the filter out, or use other data.`,
    );
  }
  return kept;
}
