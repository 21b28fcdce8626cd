import { createRandom, type Random } from "../random.js";

/**
 * The order in which one epoch visits `count` items: a permutation of 0 … count − 1 that depends on nothing but
 * the arguments, or the plain order without `shuffle`.
 */
export const epochOrder = (
  count: number,
  seed: number,
  epoch: number,
  shuffle: boolean,
): Uint32Array =>
  permutation(count, shuffle && createRandom({ seed, stream: "order", index: epoch }));

/** A permutation of 0 … count − 1 (Fisher–Yates), or the plain order without a generator. */
export function permutation(count: number, random: Random | false): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  if (random === false) return order;
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    const item = order[last]!;
    order[last] = order[other]!;
    order[other] = item;
  }
  return order;
}
