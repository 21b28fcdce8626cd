import { FacetError } from "../errors.js";
import { contentFraction } from "./digest.js";
import type { Row } from "./rows.js";

/**
 * Rows for training and for validation, each in their order. The side is decided by a hash of the row's text fields:
 * it never changes when rows are added, moved or removed, exact duplicates share a side, and a larger fraction only moves rows
 * from training to validation. The fraction is met on average, not exactly.
 * Throws a FacetError for a fraction outside [0, 1), and when a side that should have rows has none.
 */
export function splitRows(
  rows: readonly Row[],
  validationSplit: number,
): { train: Row[]; validation: Row[] } {
  if (!(validationSplit >= 0 && validationSplit < 1)) {
    throw new FacetError(
      `The validation split must be at least 0 and less than 1; it is ${validationSplit}.`,
    );
  }
  const train: Row[] = [];
  const validation: Row[] = [];
  for (const row of rows) (side(row) < validationSplit ? validation : train).push(row);
  if (train.length === 0 || (validationSplit > 0 && validation.length === 0)) {
    throw new FacetError(
      `A validation split of ${validationSplit} of ${rows.length} rows leaves none for ${train.length === 0 ? "training" : "validation"}. ` +
        "Use another fraction or more rows.",
    );
  }
  return { train, validation };
}

function side(row: Row): number {
  const fields = Object.entries(row.fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return contentFraction(JSON.stringify(fields));
}
