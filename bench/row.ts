import type { Statistics } from "./statistics.js";

/** One measured row. */
export interface Row extends Statistics {
  readonly name: string;
  readonly unit: string;
  /** Against something measured in the same run. */
  readonly ratio: { readonly value: number; readonly of: string };
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  /** Absent where there is nothing to get wrong. */
  readonly correct?: boolean;
}

/** A row that could not be measured here, and why. */
export interface SkippedRow {
  readonly name: string;
  readonly skipped: string;
}

export type AnyRow = Row | SkippedRow;

/** Rounds to `digits` significant digits, for facts that people read. */
export const round = (value: number, digits = 4): number => Number(value.toPrecision(digits));
