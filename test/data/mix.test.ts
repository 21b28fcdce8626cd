import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mixedOrder, mixShares } from "../../src/data/mix.js";

const mixes = fc
  .array(fc.tuple(fc.integer({ min: 20, max: 80 }), fc.integer({ min: 1, max: 5 })), {
    minLength: 1,
    maxLength: 4,
  })
  .map((sets) => ({ counts: sets.map(([count]) => count), weights: sets.map(([, w]) => w) }));
const setOf = (counts: readonly number[], example: number) => {
  let [set, end] = [0, counts[0]!];
  while (example >= end) {
    set += 1;
    end += counts[set]!;
  }
  return set;
};

describe("mixShares", () => {
  it("shares the examples of all out by the weights", () => {
    expect(mixShares({ counts: [100, 20], weights: [3, 1] })).toEqual([90, 30]);
    expect(mixShares({ counts: [5, 5], weights: [1, 2] })).toEqual([3, 7]);
    expect(mixShares({ counts: [1, 1, 1], weights: [1, 1, 1] })).toEqual([1, 1, 1]);
  });

  it("refuses a data set of which nothing would be visited", () => {
    expect(() => mixShares({ counts: [5, 5], weights: [1, 1000] })).toThrow(
      /Of data set 1 of the mix no row would be visited/,
    );
    expect(() => mixShares({ counts: [5, 0], weights: [1, 1] })).toThrow(/data set 2.*0 rows/);
  });
});

describe("mixedOrder", () => {
  it("visits each data set as often as its share, in every epoch", () => {
    fc.assert(
      fc.property(mixes, fc.nat(50), fc.boolean(), (mix, epoch, shuffle) => {
        const order = mixedOrder(mix, 7, epoch, shuffle);
        const visits = mix.counts.map(() => 0);
        for (const example of order) visits[setOf(mix.counts, example)]! += 1;
        expect(visits).toEqual(mixShares(mix));
        expect(mixedOrder(mix, 7, epoch, shuffle)).toEqual(order);
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it("goes through all of a data set before it visits one of its examples again", () => {
    fc.assert(
      fc.property(mixes, (mix) => {
        const seen = mix.counts.map(() => new Map<number, number>());
        for (let epoch = 0; epoch < 5; epoch++) {
          for (const example of mixedOrder(mix, 3, epoch, true)) {
            const times = seen[setOf(mix.counts, example)]!;
            times.set(example, (times.get(example) ?? 0) + 1);
          }
        }
        seen.forEach((times, set) => {
          const counts = [...times.values()];
          const fewest = times.size < mix.counts[set]! ? 0 : Math.min(...counts);
          expect(Math.max(...counts) - fewest).toBeLessThanOrEqual(1);
        });
      }),
      { numRuns: 30, seed: 5 },
    );
  });

  it("differs between epochs, seeds and passes, and mixes", () => {
    const mix = { counts: [10, 90], weights: [1, 1] };
    const orders = [
      mixedOrder(mix, 1, 0, true),
      mixedOrder(mix, 1, 1, true),
      mixedOrder(mix, 2, 0, true),
    ];
    expect(new Set(orders.map(String)).size).toBe(3);
    const small = [...orders[0]!].map((example) => Number(example < 10));
    expect(small.slice(0, 50).reduce((a, b) => a + b)).toBeGreaterThan(10);
    expect(small.slice(0, 50).reduce((a, b) => a + b)).toBeLessThan(40);
  });

  it("without shuffling spreads the data sets evenly, each in its order", () => {
    const mix = { counts: [6, 2], weights: [3, 1] };
    expect([...mixedOrder(mix, 1, 0, false)]).toEqual([0, 1, 6, 2, 3, 4, 7, 5]);
  });

  // A change here breaks the resuming of saved runs.
  it("stays what it is", () => {
    expect([...mixedOrder({ counts: [4, 4], weights: [3, 1] }, 42, 1, true)]).toEqual([
      2, 7, 1, 2, 3, 0, 1, 4,
    ]);
  });
});
