import { FacetError, unknownName } from "../errors.js";
import type { Row } from "./rows.js";

export interface Columns {
  /** The row with its fields renamed. */
  rename(row: Row): Row;
  /** Throws a FacetError for a column that none of these rows has. */
  requireIn(rows: readonly Row[]): void;
}

/**
 * Gives columns the names that formats and templates know: `prompt=question` calls the column `question` `prompt`, and a
 * column that was called `prompt` before is gone. Several stand in one text with commas between them, or in several texts.
 * Throws a FacetError for what is no pair, and for a name or column that is given twice.
 */
export function renamedColumns(pairs: readonly string[]): Columns {
  const columnOf = new Map<string, string>();
  // A comma may be part of a column's name.
  for (const pair of pairs.flatMap((text) => text.split(/,(?=[\w-]+=)/))) {
    const [, field, column] = /^([\w-]+)=(.+)$/s.exec(pair.trim()) ?? [];
    if (field === undefined || column === undefined) {
      throw new FacetError(
        `"${pair}" names no column. Write the field, an equals sign and the column: --columns prompt=question,completion=answer.`,
      );
    }
    const twice = columnOf.has(field) ? field : [...columnOf.values()].includes(column) && column;
    if (twice) throw new FacetError(`--columns names "${twice}" twice.`);
    columnOf.set(field, column);
  }
  const moved = new Set([...columnOf.keys(), ...columnOf.values()]);
  const rename = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries([
      ...[...columnOf].flatMap(([field, column]) =>
        Object.hasOwn(record, column) ? [[field, record[column]!] as const] : [],
      ),
      ...Object.entries(record).filter(([name]) => !moved.has(name)),
    ]);
  return {
    rename: (row) =>
      columnOf.size === 0
        ? row
        : { ...row, fields: rename(row.fields), nonText: rename(row.nonText) },
    requireIn(rows) {
      const known = new Set(
        rows.flatMap(({ fields, nonText }) => [...Object.keys(fields), ...Object.keys(nonText)]),
      );
      for (const column of columnOf.values()) {
        if (!known.has(column)) throw unknownName("column", column, known);
      }
    },
  };
}
