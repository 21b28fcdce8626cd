export interface Statistics {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** Of at least one value. The median of an even number of values is the mean of the middle two. */
export function statistics(values: readonly number[]): Statistics {
  if (values.length === 0) throw new Error("statistics of no values");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, runs: sorted.length };
}

export const median = (values: readonly number[]): number => statistics(values).median;
