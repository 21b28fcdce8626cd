import type { Batch } from "../../src/data/batches.js";

/** The batch of ids `[B, T]`, whose targets are the next ids where the mask holds there. */
export function batchOf(ids: Int32Array, mask: Int32Array, shape: readonly number[]): Batch {
  const [size, length] = shape as [number, number];
  const hasNext = (place: number) => (place + 1) % length !== 0 && mask[place + 1] === 1;
  const targets = Int32Array.from(ids, (_, place) => (hasNext(place) ? ids[place + 1]! : 0));
  const weights = Float32Array.from(ids, (_, place) => Number(hasNext(place)));
  const targetTokens = weights.reduce((a, b) => a + b, 0);
  return { ids, targets, weights, size, length, targetTokens, rows: [...Array(size).keys()] };
}
