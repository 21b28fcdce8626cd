import { FacetError } from "../errors.js";
import { createRandom } from "../random.js";

/** Where training stands in the data: `position` items of `epoch` (from 0) are done. Saved with a checkpoint. */
export interface DataCursor {
  readonly epoch: number;
  readonly position: number;
}

/**
 * The order in which one epoch visits `count` items: a permutation of 0 … count − 1 that depends on nothing but
 * the arguments (Fisher–Yates with a generator of the seed and the epoch), or the plain order without `shuffle`.
 */
export function epochOrder(
  count: number,
  seed: number,
  epoch: number,
  shuffle: boolean,
): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  if (!shuffle) return order;
  const random = createRandom({ seed, stream: "order", index: epoch });
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const item = order[last]!;
    order[last] = order[other]!;
    order[other] = item;
  }
  return order;
}

/**
 * The next items of the cursor's epoch, at most `batchSize` (an epoch's last batch may be smaller, as in Keras),
 * and the cursor after them; at the end of the epoch that is the start of the next one.
 * Throws a FacetError for a cursor outside the data, as after the data was changed, and a batch size below 1.
 */
export function takeItems(
  order: Uint32Array,
  cursor: DataCursor,
  batchSize: number,
): { items: Uint32Array; next: DataCursor } {
  const { position } = cursor;
  if (!(Number.isInteger(position) && position >= 0 && position < order.length)) {
    throw new FacetError(
      `The data cursor's position ${position} is not among the ${order.length} items. Was the data changed since it was saved?`,
    );
  }
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new FacetError(`The batch size must be a whole number from 1; it is ${batchSize}.`);
  }
  const end = Math.min(position + batchSize, order.length);
  const next =
    end === order.length
      ? { epoch: cursor.epoch + 1, position: 0 }
      : { epoch: cursor.epoch, position: end };
  return { items: order.subarray(position, end), next };
}
