import { type Batch, makeBatch } from "../data/batches.js";
import type { Examples } from "../data/exampleStore.js";
import { epochOrder } from "../data/order.js";
import type { BatchSource } from "./loop.js";

/** Examples in a new order every epoch; a step's batch is computed in micro-batches. */
export function exampleSource(
  examples: Examples,
  options: {
    readonly batchSize: number;
    /** Rows computed at a time; a whole step's rows when not given. */
    readonly microBatchSize?: number | undefined;
    readonly padId: number;
    readonly seed: number;
    readonly shuffle: boolean;
    /** Batch rows of similar length together. */
    readonly groupByLength?: boolean;
  },
): BatchSource {
  const { batchSize, padId, seed, shuffle } = options;
  const microBatchSize = options.microBatchSize ?? batchSize;
  let lengths: Int32Array | undefined;
  let current: { epoch: number; order: Uint32Array } | undefined;
  return {
    stepsPerEpoch: Math.ceil(examples.length / batchSize),
    batches(epoch, index) {
      if (current?.epoch !== epoch) {
        const order = epochOrder(examples.length, seed, epoch, shuffle);
        const grouped = options.groupByLength && batchSize > 1;
        if (grouped) lengths ??= idCounts(examples);
        current = { epoch, order: lengths ? groupByLength(order, lengths, batchSize) : order };
      }
      const rows = current.order.subarray(index * batchSize, (index + 1) * batchSize);
      const batches: Batch[] = [];
      for (let from = 0; from < rows.length; from += microBatchSize) {
        batches.push(makeBatch(examples, rows.subarray(from, from + microBatchSize), padId));
      }
      return batches;
    },
  };
}

/** Batches whose rows are sorted together; longer stretches pad less and mix less. */
const stretch = 32;

/**
 * An order whose batches hold rows of similar length: stretches of the given order are sorted by
 * length and cut into batches, and the batches of a stretch keep the order of their first rows.
 */
function groupByLength(order: Uint32Array, lengths: Int32Array, batchSize: number): Uint32Array {
  const grouped: number[] = [];
  for (let from = 0; from < order.length; from += stretch * batchSize) {
    const rows = order.subarray(from, from + stretch * batchSize);
    const place = new Map([...rows].map((row, i) => [row, i]));
    const sorted = [...rows].sort((a, b) => lengths[a]! - lengths[b]!);
    const batches: number[][] = [];
    // Counted from the end, so that a smaller batch is the stretch's first and stands last below.
    for (let end = sorted.length; end > 0; end -= batchSize) {
      batches.push(sorted.slice(Math.max(0, end - batchSize), end));
    }
    const whole = batches.filter((batch) => batch.length === batchSize);
    const rest = batches.filter((batch) => batch.length < batchSize);
    whole.sort((a, b) => place.get(a[0]!)! - place.get(b[0]!)!);
    for (const batch of [...whole, ...rest]) grouped.push(...batch);
  }
  return Uint32Array.from(grouped);
}

/** All examples once, shortest first so that little of a batch is padding. */
export function* evaluationBatches(
  examples: Examples,
  batchSize: number,
  padId: number,
): Generator<Batch> {
  const lengths = idCounts(examples);
  const order = [...lengths.keys()].sort((a, b) => lengths[a]! - lengths[b]!);
  for (let from = 0; from < order.length; from += batchSize) {
    yield makeBatch(examples, order.slice(from, from + batchSize), padId);
  }
}

/** How many ids each example has. */
const idCounts = (examples: Examples): Int32Array =>
  Int32Array.from(examples, (example) => example.ids.length);
