import { FacetError } from "../errors.js";

/** Throws a FacetError that names the first number which is no id of a vocabulary of this size. */
export function checkIds(rows: readonly (readonly number[])[], limit: number, what: string): void {
  rows.forEach((row, b) => {
    const bad = row.find((id) => !Number.isInteger(id) || id < 0 || id >= limit);
    if (bad !== undefined) {
      throw new FacetError(`${what}, row ${b}: ${bad} is no token id below ${limit}.`);
    }
  });
}
