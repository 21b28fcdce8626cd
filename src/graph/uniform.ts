import type { Shape } from "./dim.js";
import { apply1, type Operation, type Tensor } from "./tensor.js";

/** A prime, 2³¹ − 1: squares of numbers below it are exact in 64-bit integers. */
export const uniformModulus = 2147483647;

/** Rounds x ← x² + multiplier · x + increment (mod 2³¹ − 1) that turn a counter into a random number. */
export const uniformRounds = [
  { multiplier: 48271, increment: 12820163 },
  { multiplier: 69621, increment: 374761393 },
  { multiplier: 16807, increment: 668265263 },
] as const;

const uniformOperation: Operation = {
  name: "uniform",
  infer: ([seed], { shape }) => {
    if (seed!.dtype !== "int32" || seed!.shape.length !== 0)
      throw new Error("the seed must be an int32 scalar");
    return [{ shape: shape as Shape, dtype: "float32" }];
  },
};

/**
 * Random numbers on [0, 1] that depend on nothing but the seed, the stream and their place, so that
 * a resumed run draws what the uninterrupted one would have drawn. Place i starts from
 * i + seed · 7919 + stream · 1327217885 (mod 2³¹ − 1) and goes through `uniformRounds`; 1327217885 is
 * the modulus by the golden ratio, which keeps streams far apart. Good enough to
 * choose what to drop, not for cryptography. `seed` is an int32 scalar of at least 0.
 */
export const uniform = (seed: Tensor, shape: Shape, stream: number): Tensor =>
  apply1(uniformOperation, [seed], { shape, stream });
