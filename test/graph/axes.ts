import fc from "fast-check";
import { type Dim, type Shape, symbol } from "../../src/graph/index.js";

/** A dimension as the graph sees it, and its length in this run. */
export interface Axis {
  readonly dim: Dim;
  readonly size: number;
}

export const shapeOf = (axes: readonly Axis[]): Shape => axes.map(({ dim }) => dim);
export const sizesOf = (axes: readonly Axis[]): number[] => axes.map(({ size }) => size);

/** An axis of fixed length. */
export const fixedAxis = (min = 1, max = 4): fc.Arbitrary<Axis> =>
  fc.integer({ min, max }).map((size) => ({ dim: size, size }));

/** An axis of fixed length, or one that the graph knows only by this symbol. */
export const axis = (name: string, min = 1, max = 4): fc.Arbitrary<Axis> =>
  fc
    .tuple(fc.boolean(), fc.integer({ min, max }))
    .map(([symbolic, size]) => ({ dim: symbolic ? symbol(name) : size, size }));

/** Axes named S0, S1, … */
export const axes = (minRank: number, maxRank: number): fc.Arbitrary<Axis[]> =>
  fc
    .integer({ min: minRank, max: maxRank })
    .chain((rank) => fc.tuple(...Array.from({ length: rank }, (_, i) => axis(`S${i}`))));

/** The axes of an operand that broadcasts to `whole`: some left out in front, some of length 1. */
export const broadcasting = (whole: readonly Axis[]): fc.Arbitrary<Axis[]> =>
  fc
    .tuple(
      fc.integer({ min: 0, max: whole.length }),
      fc.array(fc.boolean(), { minLength: whole.length, maxLength: whole.length }),
    )
    .map(([dropped, ones]) =>
      whole.map((one, i) => (ones[i] ? { dim: 1, size: 1 } : one)).slice(dropped),
    );
