/** Token counts per row, start and end token included. */
export interface LengthStatistics {
  readonly count: number;
  readonly total: number;
  readonly min: number;
  readonly mean: number;
  readonly median: number;
  /** 95 of 100 lengths are no longer. */
  readonly p95: number;
  readonly max: number;
}

/** How many lengths lie in `from` ≤ length ≤ `to`. */
export interface LengthBucket {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Statistics of at least one length; the median of an even count is the mean of the middle two. */
export function lengthStatistics(lengths: readonly number[]): LengthStatistics {
  const sorted = Float64Array.from(lengths).sort();
  const count = sorted.length;
  const total = sorted.reduce((sum, length) => sum + length, 0);
  const middle = (sorted[(count - 1) >> 1]! + sorted[count >> 1]!) / 2;
  return {
    count,
    total,
    min: sorted[0]!,
    mean: total / count,
    median: middle,
    p95: sorted[Math.ceil(0.95 * count) - 1]!,
    max: sorted[count - 1]!,
  };
}

/** Buckets that double in width (1–16, 17–32, 33–64, …) up to the one that holds the longest. */
export function lengthHistogram(lengths: readonly number[]): LengthBucket[] {
  const counts: number[] = [];
  for (const length of lengths) {
    const bucket = Math.max(0, Math.ceil(Math.log2(length / 16)));
    while (counts.length <= bucket) counts.push(0);
    counts[bucket]! += 1;
  }
  return counts.map((count, i) => ({
    from: i === 0 ? 1 : 16 * 2 ** (i - 1) + 1,
    to: 16 * 2 ** i,
    count,
  }));
}
