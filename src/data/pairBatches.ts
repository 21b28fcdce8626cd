import { type Batch, makeBatch } from "./batches.js";
import type { Examples } from "./exampleStore.js";
import type { Example } from "./examples.js";

/** Preferences: the chosen and the rejected answer of each row, in one order. */
export interface Pairs {
  readonly chosen: Examples;
  readonly rejected: Examples;
}

/** The longer one of each pair, by which pairs are put in order and into batches. */
export const longerOnes = ({ chosen, rejected }: Pairs): Examples =>
  view(chosen.length, (index) => {
    const [a, b] = [chosen.at(index)!, rejected.at(index)!];
    return a.ids.length >= b.ids.length ? a : b;
  });

/** The batch of the pairs at `indices`: the chosen answers, then the rejected ones in the same order. */
export function makePairBatch(pairs: Pairs, indices: readonly number[], padId: number): Batch {
  const count = pairs.chosen.length;
  const both = view(2 * count, (index) =>
    index < count ? pairs.chosen.at(index)! : pairs.rejected.at(index - count)!,
  );
  const rows = [...indices, ...indices.map((index) => index + count)];
  return { ...makeBatch(both, rows, padId), rows: indices };
}

function view(length: number, at: (index: number) => Example): Examples {
  return {
    length,
    at: (index) => (index < length ? at(index) : undefined),
    *[Symbol.iterator]() {
      for (let i = 0; i < length; i++) yield at(i);
    },
  };
}
