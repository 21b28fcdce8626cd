type Numbers = ArrayLike<number>;

/** ‖actual − expected‖ / ‖expected‖ (Euclidean), or ‖actual‖ where all of `expected` is zero. */
export function relativeError(actual: Numbers, expected: Numbers): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(size === 0 ? difference : difference / size);
}

/** max |actual − expected|; infinite when the lengths differ. */
export function largestDifference(actual: Numbers, expected: Numbers): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    // A NaN must not pass as "no difference".
    if (!(difference <= largest))
      largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}
