import { FacetError } from "../errors.js";
import { createRandom } from "../random.js";
import { epochOrder, permutation } from "./order.js";

/** Data sets that lie one after the other, and how much of an epoch comes from each. */
export interface Mix {
  /** Examples of each data set. */
  readonly counts: readonly number[];
  /** One positive number for each. */
  readonly weights: readonly number[];
}

/**
 * How many examples of each data set an epoch visits: the examples of all, shared out by the weights (largest remainders,
 * so that each is less than one off). Throws a FacetError for a data set of whose examples none would be visited.
 */
export function mixShares({ counts, weights }: Mix): number[] {
  const total = counts.reduce((a, b) => a + b, 0);
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  const shares = exact.map(Math.floor);
  const rest = total - shares.reduce((a, b) => a + b, 0);
  exact
    .map((value, set) => ({ set, fraction: value - shares[set]! }))
    .sort((a, b) => b.fraction - a.fraction || a.set - b.set)
    .slice(0, rest)
    .forEach(({ set }) => {
      shares[set]! += 1;
    });
  const none = shares.findIndex((share, set) => share === 0 || counts[set] === 0);
  if (none < 0) return shares;
  throw new FacetError(
    `Of data set ${none + 1} of the mix no row would be visited: it has ${counts[none]} rows, and weight ${weights[none]} of ${sum} in an epoch of ${total}.`,
  );
}

/** Passes over a data set whose orders differ. */
const PASSES = 2 ** 20;

/**
 * The order in which an epoch visits the examples of a mix. Each data set has an endless sequence of its own, in which
 * every pass has another order (the same one without `shuffle`), and each epoch takes the next part of it: a large set
 * goes on where the last epoch ended, a small one is repeated. The parts are shuffled together, or without `shuffle`
 * spread evenly. It depends on nothing but the arguments.
 */
export function mixedOrder(mix: Mix, seed: number, epoch: number, shuffle: boolean): Uint32Array {
  const shares = mixShares(mix);
  const visits: { example: number; at: number }[] = [];
  let offset = 0;
  mix.counts.forEach((count, set) => {
    const share = shares[set]!;
    let pass = -1;
    let order = new Uint32Array(0);
    for (let k = 0; k < share; k++) {
      const place = epoch * share + k;
      if (Math.floor(place / count) !== pass) {
        pass = Math.floor(place / count);
        const index = (set * PASSES + pass) % 2 ** 32;
        order = permutation(count, shuffle && createRandom({ seed, stream: "mix", index }));
      }
      visits.push({ example: offset + order[place % count]!, at: (k + 0.5) / share });
    }
    offset += count;
  });
  if (!shuffle) visits.sort((a, b) => a.at - b.at);
  const order = epochOrder(visits.length, seed, epoch, shuffle);
  return order.map((visit) => visits[visit]!.example);
}
