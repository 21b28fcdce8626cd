/** A round of successive halving: so many candidates, each with so much to spend. */
export interface Rung {
  readonly candidates: number;
  /** Optimizer steps. */
  readonly steps: number;
}

/**
 * The rounds of successive halving: the best 1/factor of a round go on to the next with factor times the steps, until one
 * round can spend all. Jamieson, Talwalkar: "Non-stochastic best arm identification and hyperparameter optimization",
 * 2016; the brackets of Hyperband (Li et al. 2018) begin with one.
 */
export function rungs(candidates: number, factor: number, steps: number): Rung[] {
  const sizes: number[] = [];
  for (let left = candidates; left >= 1; left = Math.floor(left / factor)) sizes.push(left);
  return sizes.map((size, i) => ({
    candidates: size,
    steps: Math.max(1, Math.round(steps / factor ** (sizes.length - 1 - i))),
  }));
}

/** The best of a round, best first; ties keep their order, and NaN is worst. */
export function best<T>(candidates: readonly T[], score: (candidate: T) => number): T[] {
  const worst = (value: number) => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value);
  return candidates
    .map((candidate) => ({ candidate, value: worst(score(candidate)) }))
    .sort((a, b) => (a.value === b.value ? 0 : a.value - b.value))
    .map(({ candidate }) => candidate);
}
