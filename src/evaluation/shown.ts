import type { Estimate } from "./bootstrap.js";
import type { MetricInfo } from "./metric.js";

/** A value of a metric for people: "31.2 %", "2.1498"; a hyphen for what is not a number. */
export function shownValue({ shown }: MetricInfo, value: number): string {
  if (Number.isNaN(value)) return "-";
  if (!Number.isFinite(value)) return "infinite";
  if (shown === "percent") return `${(100 * value).toFixed(1)} %`;
  return Math.abs(value) < 1e6 ? value.toFixed(shown) : value.toExponential(2);
}

/** The interval as "2.1 to 2.4", or nothing for a single row. */
export function shownInterval(metric: MetricInfo, { interval }: Estimate): string {
  if (interval === undefined) return "";
  const [low, high] = interval.map((end) => shownValue(metric, end)) as [string, string];
  return `${metric.shown === "percent" ? low.replace(" %", "") : low} to ${high}`;
}

/** A difference with its sign and unit: "+3.1 points", "-0.0120". */
export function shownDifference(metric: MetricInfo, value: number): string {
  const size = shownSize(metric, Math.abs(value));
  // What is shown as 0 has no sign.
  if (Number.isNaN(value) || Number.parseFloat(size) === 0) return size;
  return `${value < 0 ? "-" : "+"}${size}`;
}

/** A difference without its sign; of shares in percentage points. */
export const shownSize = (metric: MetricInfo, size: number): string =>
  shownValue(metric, size).replace(" %", " points");
