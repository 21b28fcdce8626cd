import { FacetError, unknownName } from "../errors.js";
import type { Row } from "./rows.js";

/** A field that formats and templates know, and the column that is to be called so. */
export type ColumnName = readonly [field: string, column: string];

/**
 * Reads names for columns: `prompt=question` calls the column `question` `prompt`. Several stand in one text with commas
 * between them, or in several texts. Throws a FacetError for what is no pair, and for a name or column that is given twice.
 */
export function columnNames(pairs: readonly string[]): ColumnName[] {
  const names: ColumnName[] = [];
  // A comma may be part of a column's name.
  for (const pair of pairs.flatMap((text) => text.split(/,(?=[\w-]+=)/))) {
    const [, field, column] = /^([\w-]+)=(.+)$/s.exec(pair.trim()) ?? [];
    if (field === undefined || column === undefined) {
      throw new FacetError(
        `"${pair}" names no column. Write the field, an equals sign and the column: --columns prompt=question,completion=answer.`,
      );
    }
    const twice = names.some(([known]) => known === field)
      ? field
      : names.find(([, known]) => known === column)?.[1];
    if (twice !== undefined) throw new FacetError(`--columns names "${twice}" twice.`);
    names.push([field, column]);
  }
  return names;
}

/**
 * Renames the columns of a data set of which these are the first rows; a column that had the new name before is gone. A
 * data set that already has a field needs no column for it: then nothing is renamed. Throws a FacetError for a column where
 * the rows have neither.
 */
export function renaming(names: readonly ColumnName[], first: readonly Row[]): (row: Row) => Row {
  const known = new Set(
    first.flatMap(({ fields, nonText }) => [...Object.keys(fields), ...Object.keys(nonText)]),
  );
  const found = names.filter(([field, column]) => {
    if (!known.has(column) && !known.has(field)) throw unknownName("column", column, known);
    return known.has(column);
  });
  if (found.length === 0) return (row) => row;
  const moved = new Set(found.flat());
  const rename = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries([
      ...found.flatMap(([field, column]) =>
        Object.hasOwn(record, column) ? [[field, record[column]!] as const] : [],
      ),
      ...Object.entries(record).filter(([name]) => !moved.has(name)),
    ]);
  return (row) => ({ ...row, fields: rename(row.fields), nonText: rename(row.nonText) });
}
