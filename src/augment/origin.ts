import { type Place, placeOf, type Row } from "../data/rows.js";
import { groupOf } from "../data/split.js";

/** How a written row came to be. */
export interface Origin {
  /** "original", the name of a rewrite, or "synthesis". */
  readonly by: string;
  /** The rows it was made from, or after whose pattern. */
  readonly from: readonly Place[];
  /** What it shares a side of the validation split with: the sha256 of the original row's content. */
  readonly group?: string;
  /** The model that wrote it. */
  readonly model?: string;
}

/** A row as an object of JSON, with its origin. */
export const taggedRow = (row: Row, origin: Origin): Record<string, unknown> => ({
  ...row.fields,
  ...row.nonText,
  origin,
});

/** The origin of a row that was made from one other, and stays on its side of any split. */
export const madeFrom = (row: Row, by: string): Origin => ({
  by,
  from: [placeOf(row)],
  group: groupOf(row),
});
