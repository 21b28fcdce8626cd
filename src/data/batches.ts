import { FacetError } from "../errors.js";
import type { Examples } from "./exampleStore.js";

/** A training batch; the arrays are row-major [size, length]. */
export interface Batch {
  /** Input ids, padded on the right; as in Keras, the end token of a row shorter than T is among them. */
  readonly ids: Int32Array;
  /** The next id at each place, padded on the right. */
  readonly targets: Int32Array;
  /** 1 where the target counts in the loss, 0 elsewhere and on padding. */
  readonly weights: Float32Array;
  /** Where several examples share a row: the place of each input in its own example. */
  readonly positions?: Int32Array;
  /** Rows B. */
  readonly size: number;
  /** Columns T: the longest row of this batch, never padded beyond. */
  readonly length: number;
  /** The sum of the weights. */
  readonly targetTokens: number;
  /** Which examples, or windows, the rows are. */
  readonly rows: readonly number[];
}

/**
 * The batch of the examples at `indices`: rows of T + 1 padded ids give inputs ids[:−1], targets ids[1:] and weights isTarget[1:],
 * as KerasHub's preprocessor does with T its sequence length.
 * Throws a FacetError for no indices, or one that names no example.
 */
export function makeBatch(examples: Examples, indices: Iterable<number>, padId: number): Batch {
  const rows = [...indices];
  if (rows.length === 0) throw new FacetError("A batch needs at least one example.");
  const chosen = rows.map((index) => {
    const example = examples.at(index);
    if (example === undefined) {
      throw new FacetError(`There is no example ${index}; there are ${examples.length}.`);
    }
    return example;
  });
  const size = rows.length;
  const length = Math.max(...chosen.map((example) => example.ids.length - 1));
  const ids = new Int32Array(size * length).fill(padId);
  const targets = new Int32Array(size * length).fill(padId);
  const weights = new Float32Array(size * length);
  let targetTokens = 0;
  chosen.forEach((example, b) => {
    ids.set(example.ids.subarray(0, length), b * length);
    targets.set(example.ids.subarray(1), b * length);
    weights.set(example.isTarget.subarray(1), b * length);
    for (const flag of example.isTarget.subarray(1)) targetTokens += flag;
  });
  return { ids, targets, weights, size, length, targetTokens, rows };
}
