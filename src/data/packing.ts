import type { Batch } from "./batches.js";
import type { Examples } from "./exampleStore.js";

/** Packs that wait for a short example; more would be fuller by little and keep neighbours together for longer. */
const OPEN = 64;

/**
 * Puts examples together into rows of at most `capacity` inputs, in the given order as far as it goes: each goes into the
 * first open pack that has room. `lengths` are ids per example, one more than its inputs. The packs hold each example once,
 * and depend on nothing but the arguments.
 */
export function packed(
  order: Uint32Array,
  lengths: Int32Array,
  capacity: number,
): readonly (readonly number[])[] {
  const packs: number[][] = [];
  let open: { pack: number[]; room: number }[] = [];
  for (const example of order) {
    const inputs = lengths[example]! - 1;
    let place = open.find(({ room }) => room >= inputs);
    if (place === undefined) {
      place = { pack: [], room: capacity };
      packs.push(place.pack);
      open.push(place);
    }
    place.pack.push(example);
    place.room -= inputs;
    // No example has fewer than two ids.
    if (place.room < 1) open = open.filter((one) => one !== place);
    else if (open.length > OPEN) open.shift();
  }
  return packs;
}

/**
 * The batch whose rows hold several examples each, one after the other: the inputs of `makeBatch` for each, with positions
 * that restart, so that none sees another. Padding is an example of its own.
 */
export function packedBatch(
  examples: Examples,
  packs: readonly (readonly number[])[],
  padId: number,
): Batch {
  const rows = packs.map((pack) => pack.map((index) => examples.at(index)!));
  const lengths = rows.map((row) => row.reduce((sum, { ids }) => sum + ids.length - 1, 0));
  const length = Math.max(...lengths);
  const count = rows.length * length;
  const ids = new Int32Array(count).fill(padId);
  const targets = new Int32Array(count).fill(padId);
  const weights = new Float32Array(count);
  const positions = new Int32Array(count);
  let targetTokens = 0;
  rows.forEach((row, b) => {
    let at = b * length;
    for (const example of row) {
      const inputs = example.ids.length - 1;
      ids.set(example.ids.subarray(0, inputs), at);
      targets.set(example.ids.subarray(1), at);
      weights.set(example.isTarget.subarray(1), at);
      for (const flag of example.isTarget.subarray(1)) targetTokens += flag;
      for (let i = 0; i < inputs; i++) positions[at + i] = i;
      at += inputs;
    }
    const end = (b + 1) * length;
    for (let i = at; i < end; i++) positions[i] = i - at;
  });
  const size = rows.length;
  return {
    ...{ ids, targets, weights, positions },
    ...{ size, length, targetTokens, rows: packs.flat() },
  };
}
