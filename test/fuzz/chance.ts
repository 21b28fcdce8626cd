import { createRandom, type Random } from "../../src/random.js";

/** The random numbers of one case: the same seed and number give the same case. */
export const chanceOf = (seed: number, number: number): Random =>
  createRandom({ seed, stream: "sampling", index: number });

export function pick<T>(random: Random, list: readonly T[]): T {
  if (list.length === 0) throw new Error("nothing to pick from");
  return list[random.below(list.length)]!;
}

export const happens = (random: Random, oneIn: number): boolean => random.below(oneIn) === 0;
