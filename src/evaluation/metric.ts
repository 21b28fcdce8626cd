/** What one row adds to a metric, which is Σ sum / Σ weight over the rows. */
export interface Part {
  readonly sum: number;
  readonly weight: number;
}

/** What a metric is, for those who show it. */
export interface MetricInfo {
  /** Its name in JSON. */
  readonly key: string;
  readonly label: string;
  /** What its unit is, for readers who meet it for the first time. */
  readonly meaning: string;
  /** Which direction is good; undefined where neither is. */
  readonly better: "lower" | "higher" | undefined;
  /** Another metric of the same rows that rises and falls with this one, so that saying both says nothing new. */
  readonly follows?: string;
  /** Shown as a share in percent, or as a number with so many decimals. */
  readonly shown: "percent" | number;
}

/** A number over rows of kind R: a ratio of sums, so that rows can be drawn again (`bootstrap.ts`). */
export interface Metric<R> extends MetricInfo {
  /** What a row adds. */
  part(row: R): Part;
  /** The metric of the ratio, for one that is not the ratio itself; it must rise with it. */
  finish?(ratio: number): number;
}

/** A part of a metric in which every row counts the same. */
export const one = (value: number | boolean): Part => ({ sum: Number(value), weight: 1 });
