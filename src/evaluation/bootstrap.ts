import { createRandom } from "../random.js";
import type { Metric, MetricInfo, Part } from "./metric.js";

export interface BootstrapOptions {
  /** How many times rows are drawn. */
  readonly resamples: number;
  /** The share of the draws that an interval covers, such as 0.95. */
  readonly confidence: number;
  readonly seed: number;
}

/** A metric with what each row adds to it. */
export interface Column {
  readonly metric: MetricInfo & { readonly finish?: (ratio: number) => number };
  readonly parts: readonly Part[];
}

export interface Estimate {
  readonly value: number;
  /** Where the value would lie with other rows of this kind; undefined for a single row, which says nothing about others. */
  readonly interval: readonly [low: number, high: number] | undefined;
}

/** The columns of metrics over rows. */
export const columnsOf = <R>(metrics: readonly Metric<R>[], rows: readonly R[]): Column[] =>
  metrics.map((metric) => ({ metric, parts: rows.map((row) => metric.part(row)) }));

/** The metric over all rows. */
export function overallValue({ metric, parts }: Column): number {
  let [sum, weight] = [0, 0];
  for (const part of parts) {
    sum += part.sum;
    weight += part.weight;
  }
  return finished(metric, sum / weight);
}

/**
 * Percentile intervals of columns over the same rows: as many rows as there are are drawn with replacement, again and
 * again, and the metric computed of each draw. Efron, Tibshirani: "An introduction to the bootstrap", 1993, chapter 13.
 */
export function estimates(columns: readonly Column[], options: BootstrapOptions): Estimate[] {
  const draws = drawnValues(columns, options);
  return columns.map((column, i) => ({
    value: overallValue(column),
    interval: draws && percentileInterval(draws[i]!, options.confidence),
  }));
}

/**
 * The differences of `after` from `before`, whose parts belong to the same rows in the same order. Each draw takes the
 * same rows for both, so what makes a row hard for both cancels out. Koehn: "Statistical significance tests for machine
 * translation evaluation", 2004.
 */
export function differences(
  before: readonly Column[],
  after: readonly Column[],
  options: BootstrapOptions,
): Estimate[] {
  const draws = drawnValues([...before, ...after], options);
  return after.map((column, i) => ({
    value: overallValue(column) - overallValue(before[i]!),
    interval:
      draws &&
      percentileInterval(
        draws[before.length + i]!.map((value, draw) => value - draws[i]![draw]!),
        options.confidence,
      ),
  }));
}

/** For each column its value in every draw. All columns see the same draws; undefined for less than two rows. */
function drawnValues(
  columns: readonly Column[],
  { resamples, seed }: BootstrapOptions,
): Float64Array[] | undefined {
  const rows = columns[0]?.parts.length ?? 0;
  if (rows < 2) return undefined;
  const random = createRandom({ seed, stream: "bootstrap" });
  const sums = columns.map(({ parts }) => Float64Array.from(parts, ({ sum }) => sum));
  const weights = columns.map(({ parts }) => Float64Array.from(parts, ({ weight }) => weight));
  const values = columns.map(() => new Float64Array(resamples));
  const times = new Float64Array(rows);
  for (let draw = 0; draw < resamples; draw++) {
    times.fill(0);
    for (let i = 0; i < rows; i++) times[random.below(rows)]! += 1;
    columns.forEach(({ metric }, i) => {
      values[i]![draw] = finished(metric, dot(times, sums[i]!) / dot(times, weights[i]!));
    });
  }
  return values;
}

const finished = ({ finish }: Column["metric"], ratio: number): number =>
  finish === undefined ? ratio : finish(ratio);

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The middle `confidence` of the values. */
export function percentileInterval(values: Float64Array, confidence: number): [number, number] {
  const sorted = Float64Array.from(values).sort();
  const tail = (1 - confidence) / 2;
  return [quantile(sorted, tail), quantile(sorted, 1 - tail)];
}

/** Of sorted values, linear between neighbours (NumPy's default, type 7 of Hyndman and Fan 1996). */
export function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const [a, b] = [sorted[low]!, sorted[Math.min(low + 1, sorted.length - 1)]!];
  return a === b ? a : a + (place - low) * (b - a);
}
