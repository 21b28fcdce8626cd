import type { Estimate } from "./bootstrap.js";
import type { MetricInfo } from "./metric.js";

/**
 * What a difference says: "better" or "worse" when its interval leaves out 0, "same" when no row changed it, "unclear"
 * when the rows cannot tell, and "neutral" for a metric that has no good direction.
 */
export type Verdict = "better" | "worse" | "same" | "unclear" | "neutral";

export function verdictOf({ better }: MetricInfo, { value, interval }: Estimate): Verdict {
  if (better === undefined) return "neutral";
  if (interval === undefined) return "unclear";
  const [low, high] = interval;
  if (low === 0 && high === 0 && value === 0) return "same";
  if (low <= 0 && high >= 0) return "unclear";
  // NaN leaves out nothing and holds nothing.
  if (!(low > 0 || high < 0)) return "unclear";
  return value < 0 === (better === "lower") ? "better" : "worse";
}
