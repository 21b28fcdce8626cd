import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { epochOrder } from "../../src/data/order.js";

const count = fc.integer({ min: 0, max: 300 });
const seed = fc.nat();
const epoch = fc.nat({ max: 1000 });

describe("epochOrder", () => {
  it("is a permutation, and the same each time", () => {
    fc.assert(
      fc.property(count, seed, epoch, (n, s, e) => {
        const order = epochOrder(n, s, e, true);
        expect([...order].sort((a, b) => a - b)).toEqual([...Array(n).keys()]);
        expect(epochOrder(n, s, e, true)).toEqual(order);
      }),
    );
  });

  it("differs between epochs and between seeds", () => {
    fc.assert(
      fc.property(seed, epoch, (s, e) => {
        const order = epochOrder(50, s, e, true);
        expect(epochOrder(50, s, e + 1, true)).not.toEqual(order);
        expect(epochOrder(50, s + 1, e, true)).not.toEqual(order);
      }),
    );
  });

  it("is the plain order without shuffling", () => {
    expect([...epochOrder(4, 1, 2, false)]).toEqual([0, 1, 2, 3]);
  });

  // Checked against a second implementation. A change here breaks the resuming of saved runs.
  it("stays what it is", () => {
    expect([...epochOrder(10, 42, 0, true)]).toEqual([4, 2, 5, 1, 3, 0, 9, 7, 6, 8]);
  });

  it("puts every item everywhere about equally often", () => {
    const counts = new Array<number>(25).fill(0);
    for (let e = 0; e < 5000; e++) {
      epochOrder(5, 7, e, true).forEach((item, place) => {
        counts[item * 5 + place]! += 1;
      });
    }
    // Five standard deviations: 5 · √(5000 · 0.2 · 0.8) = 142.
    for (const times of counts) expect(Math.abs(times - 1000)).toBeLessThan(142);
  });
});
