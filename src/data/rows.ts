import { FacetError } from "../errors.js";

/** Where a row comes from, for messages. */
export interface Place {
  readonly file: string;
  /** Number of its first line in the file, from 1; of a file whose rows are no lines, of the row. */
  readonly line: number;
  /** What `line` counts, where it is not lines: JSON, Parquet and text. */
  readonly unit?: "row";
}

export const placeOf = ({ file, line, unit }: Place): Place =>
  unit === undefined ? { file, line } : { file, line, unit };

/** How messages name a place. */
export const placeText = ({ file, line, unit }: Place): string =>
  `${file}, ${unit ?? "line"} ${line}`;

/** One record of a data file. */
export interface Row extends Place {
  /** The fields that hold text. A field whose value is null counts as missing. */
  readonly fields: Readonly<Record<string, string>>;
  /** The fields that hold something else, such as a conversation's list: an error only if a template needs text. */
  readonly nonText: Readonly<Record<string, unknown>>;
}

/**
 * The text of a field that is needed, or undefined where the row lacks it.
 * Throws a FacetError with file and line when the field holds a number, list, object or boolean.
 */
export function textField(row: Row, field: string): string | undefined {
  if (Object.hasOwn(row.nonText, field)) {
    throw new FacetError(
      `${placeText(row)}: field "${field}" is ${jsonType(row.nonText[field])}, but text is needed. Write it as a JSON string.`,
    );
  }
  return Object.hasOwn(row.fields, field) ? row.fields[field] : undefined;
}

/** The row of one record. Throws a FacetError with its place for what is no object. */
export function rowOf(value: unknown, place: Place): Row {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FacetError(
      `${placeText(place)}: expected a JSON object such as {"text": "…"}, found ${jsonType(value)}.`,
    );
  }
  const texts: [string, string][] = [];
  const other: [string, unknown][] = [];
  for (const [name, field] of Object.entries(value)) {
    if (typeof field === "string") texts.push([name, field]);
    else if (field !== null && field !== undefined) other.push([name, field]);
  }
  // fromEntries, unlike assignment, is safe for a field named __proto__.
  return { ...place, fields: Object.fromEntries(texts), nonText: Object.fromEntries(other) };
}

/** How messages call a value: "a list", "a number". */
export function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
