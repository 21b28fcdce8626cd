import { type Batch, makeBatch } from "../data/batches.js";
import type { Example } from "../data/examples.js";
import { epochOrder } from "../data/order.js";
import type { BatchSource } from "./loop.js";

/** Examples in a new order every epoch; a step's batch is computed in micro-batches. */
export function exampleSource(
  examples: readonly Example[],
  options: {
    readonly batchSize: number;
    /** Rows computed at a time; a whole step's rows when not given. */
    readonly microBatchSize?: number | undefined;
    readonly padId: number;
    readonly seed: number;
    readonly shuffle: boolean;
  },
): BatchSource {
  const { batchSize, padId, seed, shuffle } = options;
  const microBatchSize = options.microBatchSize ?? batchSize;
  let current: { epoch: number; order: Uint32Array } | undefined;
  return {
    stepsPerEpoch: Math.ceil(examples.length / batchSize),
    batches(epoch, index) {
      if (current?.epoch !== epoch) {
        current = { epoch, order: epochOrder(examples.length, seed, epoch, shuffle) };
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

/** All examples once, shortest first so that little of a batch is padding. */
export function* evaluationBatches(
  examples: readonly Example[],
  batchSize: number,
  padId: number,
): Generator<Batch> {
  const order = [...examples.keys()].sort(
    (a, b) => examples[a]!.ids.length - examples[b]!.ids.length,
  );
  for (let from = 0; from < order.length; from += batchSize) {
    yield makeBatch(examples, order.slice(from, from + batchSize), padId);
  }
}
