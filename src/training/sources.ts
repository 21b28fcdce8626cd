import { type Batch, makeBatch } from "../data/batches.js";
import { type Examples, idCounts } from "../data/exampleStore.js";
import { type Mix, mixedOrder } from "../data/mix.js";
import { epochOrder } from "../data/order.js";
import { packed, packedBatch } from "../data/packing.js";
import type { BatchSource } from "./loop.js";

export interface SourceOptions {
  /** Rows per optimizer step. */
  readonly batchSize: number;
  /** Rows computed at a time; a whole step's rows when not given. */
  readonly microBatchSize?: number | undefined;
  readonly padId: number;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Batch rows of similar length together. */
  readonly groupByLength?: boolean;
  /** Put several examples into a row of at most so many inputs. */
  readonly packTo?: number | undefined;
  /** Visit the data sets of the examples by weight, not every example once. */
  readonly mix?: Mix | undefined;
}

/** Examples in a new order every epoch; a step's batch is computed in micro-batches. */
export function exampleSource(examples: Examples, options: SourceOptions): BatchSource {
  const { batchSize, padId, seed, shuffle, packTo, mix } = options;
  const microBatchSize = options.microBatchSize ?? batchSize;
  let known: Int32Array | undefined;
  const lengths = () => {
    known ??= idCounts(examples);
    return known;
  };
  let current: { epoch: number; rows: Uint32Array | readonly (readonly number[])[] } | undefined;
  const rowsOf = (epoch: number) => {
    if (current?.epoch === epoch) return current.rows;
    const order =
      mix === undefined
        ? epochOrder(examples.length, seed, epoch, shuffle)
        : mixedOrder(mix, seed, epoch, shuffle);
    const grouped = options.groupByLength && batchSize > 1;
    const inBatches = () => (grouped ? groupByLength(order, lengths(), batchSize) : order);
    current = {
      epoch,
      rows: packTo === undefined ? inBatches() : packed(order, lengths(), packTo),
    };
    return current.rows;
  };
  return {
    // Only packing makes epochs of different lengths.
    stepsIn: (epoch) =>
      Math.ceil((packTo === undefined ? examples.length : rowsOf(epoch).length) / batchSize),
    batches(epoch, index) {
      const rows = rowsOf(epoch);
      const end = Math.min(rows.length, (index + 1) * batchSize);
      const batches: Batch[] = [];
      for (let from = index * batchSize; from < end; from += microBatchSize) {
        const part = rows.slice(from, Math.min(end, from + microBatchSize));
        batches.push(
          part instanceof Uint32Array
            ? makeBatch(examples, part, padId)
            : packedBatch(examples, part, padId),
        );
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
