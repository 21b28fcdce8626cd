import { createRandom } from "../random.js";

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
