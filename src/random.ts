import { FacetError, unknownName } from "./errors.js";

/** What randomness is drawn for; each is a sequence of its own, so that drawing more for one does not change another. */
const STREAMS = {
  order: 1,
  init: 2,
  sampling: 3,
  dropout: 4,
  mix: 5,
  noise: 6,
  augment: 10,
  bootstrap: 8,
  sweep: 9,
} as const;

export type RandomStream = keyof typeof STREAMS;

/** All there is to know about a generator: small enough to save in a checkpoint, enough to go on from. */
export interface RandomState {
  /** A whole number from 0 to 2^53 − 1. */
  readonly seed: number;
  readonly stream: RandomStream;
  /** Tells sequences of one stream apart (an epoch, a variable): a whole number from 0 to 2^32 − 1. */
  readonly index: number;
  /** How many 32-bit words have been drawn. */
  readonly position: number;
}

export interface Random {
  /** A whole number, uniform on [0, 2^32). */
  uint32(): number;
  /** A number with 53 random bits, uniform on [0, 1). */
  uniform(): number;
  /** A whole number, uniform on [0, count), for 1 ≤ count ≤ 2^32; without modulo bias. */
  below(count: number): number;
  /** Where the generator stands: `createRandom(random.state())` continues with the same numbers. */
  state(): RandomState;
}

const KEY_STEP_0 = 0x9e3779b9;
const KEY_STEP_1 = 0xbb67ae85;
const FACTOR_0 = 0xd2511f53;
const FACTOR_1 = 0xcd9e8d57;

type Block = readonly [number, number, number, number];

/**
 * Philox 4×32 with 10 rounds: four 32-bit words from a counter and a key, with no other state.
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the same as Random123's philox4x32.
 */
export function philox4x32(counter: Block, key: readonly [number, number]): Block {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(FACTOR_0, c0);
    const low0 = Math.imul(FACTOR_0, c0);
    const high1 = multiplyHigh(FACTOR_1, c2);
    const low1 = Math.imul(FACTOR_1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + KEY_STEP_0) >>> 0;
    k1 = (k1 + KEY_STEP_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * A generator at the given place; `index` and `position` default to 0. The seed is the key; stream, index and
 * position make up the counter, so any place is reached at once. Throws a FacetError for a seed, stream or place that there is not.
 */
export function createRandom(
  from: Pick<RandomState, "seed" | "stream"> & Partial<RandomState>,
): Random {
  const { seed, stream, index = 0 } = from;
  let position = from.position ?? 0;
  if (!Object.hasOwn(STREAMS, stream)) {
    throw unknownName("random stream", stream, Object.keys(STREAMS));
  }
  requireWhole("seed", seed, Number.MAX_SAFE_INTEGER);
  requireWhole("random index", index, 2 ** 32 - 1);
  requireWhole("random position", position, Number.MAX_SAFE_INTEGER);
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  const blockAt = (block: number) =>
    philox4x32([block >>> 0, Math.floor(block / 2 ** 32), index, STREAMS[stream]], key);
  let words = blockAt(Math.floor(position / 4));

  const uint32 = () => {
    const lane = position % 4;
    if (lane === 0) words = blockAt(position / 4);
    position += 1;
    return words[lane]!;
  };
  return {
    uint32,
    uniform() {
      const high = uint32() >>> 5;
      const low = uint32() >>> 6;
      return (high * 2 ** 26 + low) / 2 ** 53;
    },
    below(count) {
      const limit = 2 ** 32 - (2 ** 32 % count);
      for (;;) {
        const word = uint32();
        if (word < limit) return word % count;
      }
    },
    state: () => ({ seed, stream, index, position }),
  };
}

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  // Products of 16-bit numbers and these sums are exact in a double.
  const carry = (middle % 0x10000) + aLow * bHigh;
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
}

function requireWhole(what: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new FacetError(`The ${what} must be a whole number from 0 to ${max}; it is ${value}.`);
  }
}
