import { FacetError } from "../errors.js";
import { contentDigest, digestFraction } from "./digest.js";
import type { Row } from "./rows.js";

/**
 * Which rows are for validation. The side is decided by a hash of the row's text fields and conversations: it never changes when rows are
 * added, moved or removed, exact duplicates share a side, and a larger fraction only moves rows from training to
 * validation. The fraction is met on average, not exactly. Throws a FacetError for a fraction outside [0, 1).
 */
export function isForValidation(validationSplit: number): (row: Row) => boolean {
  if (!(validationSplit >= 0 && validationSplit < 1)) {
    throw new FacetError(
      `The validation split must be at least 0 and less than 1; it is ${validationSplit}.`,
    );
  }
  return (row) => validationSplit > 0 && side(row) < validationSplit;
}

/** Throws a FacetError when a side that should have rows has none. */
export function requireBothSides(
  validationSplit: number,
  counts: { readonly train: number; readonly validation: number },
): void {
  if (counts.train > 0 && (validationSplit === 0 || counts.validation > 0)) return;
  throw new FacetError(
    `A validation split of ${validationSplit} of ${counts.train + counts.validation} rows leaves none for ${counts.train === 0 ? "training" : "validation"}. ` +
      "Use another fraction or more rows.",
  );
}

/**
 * What a row shares its side with, as a sha256 in hexadecimal: rows of equal content, and what `facet augment` made of
 * them, which says so in its `origin`.
 */
export function groupOf(row: Row): string {
  const { origin } = row.nonText as { origin?: { group?: unknown } | null };
  const group = origin?.group;
  if (typeof group === "string" && /^[0-9a-f]{64}$/.test(group)) return group;
  const fields = Object.entries(row.fields).sort(([a], [b]) => (a < b ? -1 : 1));
  const lists = Object.entries(row.nonText)
    .filter(([, value]) => Array.isArray(value) && value.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const content = lists.length === 0 ? fields : [...fields, ...lists];
  return contentDigest(
    JSON.stringify(content, (_, value) => (typeof value === "bigint" ? `${value}` : value)),
  );
}

const side = (row: Row): number => digestFraction(groupOf(row));
