import { FacetError } from "../errors.js";
import type { Batch } from "./batches.js";
import type { TokenStream } from "./corpus.js";

/** How many windows of `length` inputs (and one more id, the last target) the stream holds, side by side. Throws a FacetError for a length below 1. */
export function windowCount(stream: TokenStream, length: number): number {
  if (!(Number.isInteger(length) && length >= 1)) {
    throw new FacetError(`The window length must be a whole number from 1; it is ${length}.`);
  }
  return Math.max(0, Math.floor((stream.tokens.length - 1) / length));
}

/**
 * The batch of windows: inputs are ids [i·T, i·T + T), targets the same shifted by one. The weight is 1, but
 * 0 where the target is the start token of the next document, which nothing before it tells.
 * Throws a FacetError for no window, or one that the stream does not hold.
 */
export function windowBatch(
  stream: TokenStream,
  windowIndices: Iterable<number>,
  length: number,
): Batch {
  const rows = [...windowIndices];
  if (rows.length === 0) throw new FacetError("A batch needs at least one window.");
  const count = windowCount(stream, length);
  const size = rows.length;
  const ids = new Int32Array(size * length);
  const targets = new Int32Array(size * length);
  const weights = new Float32Array(size * length);
  let targetTokens = 0;
  rows.forEach((window, b) => {
    if (!(Number.isInteger(window) && window >= 0 && window < count)) {
      throw new FacetError(
        `There is no window ${window}: ${stream.tokens.length} tokens make ${count} windows of ${length}.`,
      );
    }
    const start = window * length;
    ids.set(stream.tokens.subarray(start, start + length), b * length);
    targets.set(stream.tokens.subarray(start + 1, start + length + 1), b * length);
    for (let i = b * length; i < (b + 1) * length; i++) {
      if (targets[i] === stream.bosId) continue;
      weights[i] = 1;
      targetTokens += 1;
    }
  });
  return { ids, targets, weights, size, length, targetTokens, rows };
}
