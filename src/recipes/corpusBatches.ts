import type { Corpus } from "../data/corpus.js";
import { epochOrder } from "../data/order.js";
import { windowBatch, windowCount } from "../data/windows.js";
import { FacetError } from "../errors.js";
import type { BatchSource } from "../training/loop.js";
import type { PretrainConfig } from "./pretrainConfig.js";

/** Rows of text in a new order every epoch. Throws a FacetError when they do not make one batch. */
export function windowSource(corpus: Corpus, config: PretrainConfig): BatchSource {
  const { sequenceLength, batchSize, seed } = config;
  const count = windowCount(corpus.train, sequenceLength);
  const stepsPerEpoch = Math.floor(count / batchSize);
  if (stepsPerEpoch === 0) {
    throw new FacetError(
      `The text makes ${count} rows of ${sequenceLength} tokens, fewer than one batch of ${batchSize}. Give more text or smaller batches.`,
    );
  }
  let current: { epoch: number; order: Uint32Array } | undefined;
  return {
    stepsIn: () => stepsPerEpoch,
    batches(epoch, index) {
      if (current?.epoch !== epoch)
        current = { epoch, order: epochOrder(count, seed, epoch, true) };
      const windows = current.order.subarray(index * batchSize, (index + 1) * batchSize);
      return [windowBatch(corpus.train, windows, sequenceLength)];
    },
  };
}

/** The held-out text, row after row. Throws a FacetError when there is less than one row. */
export function heldOutBatches(corpus: Corpus, { sequenceLength, batchSize }: PretrainConfig) {
  const count = windowCount(corpus.heldOut, sequenceLength);
  if (count === 0) {
    throw new FacetError(
      `The held-out text is shorter than one row of ${sequenceLength} tokens. Give more text or a larger --held-out.`,
    );
  }
  const batches = [];
  for (let from = 0; from < count; from += batchSize) {
    const length = Math.min(batchSize, count - from);
    const windows = Array.from({ length }, (_, i) => from + i);
    batches.push(windowBatch(corpus.heldOut, windows, sequenceLength));
  }
  return batches;
}
