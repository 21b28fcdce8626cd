import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeBatch } from "../../src/data/batches.js";
import type { Example } from "../../src/data/examples.js";
import { packed, packedBatch } from "../../src/data/packing.js";

const exampleOf = (...ids: number[]): Example => ({
  ids: Int32Array.from(ids),
  isTarget: Uint8Array.from(ids, (_, i) => Number(i > 1)),
  ...{ line: 1, truncated: 0 },
});
const examples = [exampleOf(2, 5, 6, 1), exampleOf(2, 7, 1), exampleOf(2, 8, 9, 10, 1)];

describe("packed", () => {
  it("fills rows in the given order, and puts short examples into rows with room", () => {
    const lengths = Int32Array.of(7, 9, 3, 4, 2);
    expect(packed(Uint32Array.of(0, 1, 2, 3, 4), lengths, 10)).toEqual([[0, 2, 4], [1], [3]]);
    expect(packed(Uint32Array.of(4, 3, 2, 1, 0), lengths, 10)).toEqual([[4, 3, 2], [1], [0]]);
  });

  it("holds every example once, and no row is longer than it may be", () => {
    const lengths = fc.array(fc.integer({ min: 2, max: 65 }), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(lengths, (list) => {
        const order = Uint32Array.from(list.keys()).reverse();
        const packs = packed(order, Int32Array.from(list), 64);
        expect(packs.flat().sort((a, b) => a - b)).toEqual([...list.keys()]);
        for (const pack of packs) {
          expect(pack.length).toBeGreaterThan(0);
          expect(pack.reduce((sum, i) => sum + list[i]! - 1, 0)).toBeLessThanOrEqual(64);
        }
        expect(packed(order, Int32Array.from(list), 64)).toEqual(packs);
      }),
      { numRuns: 50, seed: 1 },
    );
  });
});

describe("packedBatch", () => {
  it("puts examples one after the other, with positions that restart and their numbers", () => {
    const batch = packedBatch(examples, [[0, 1], [2]], 0);
    expect(batch).toEqual({
      ids: Int32Array.of(2, 5, 6, 2, 7, 2, 8, 9, 10, 0),
      targets: Int32Array.of(5, 6, 1, 7, 1, 8, 9, 10, 1, 0),
      weights: Float32Array.of(0, 1, 1, 0, 1, 0, 1, 1, 1, 0),
      positions: Int32Array.of(0, 1, 2, 0, 1, 0, 1, 2, 3, 0),
      ...{ size: 2, length: 5, targetTokens: 6, rows: [0, 1, 2] },
    });
  });

  it("of one example per row is the plain batch", () => {
    const { positions: _, ...batch } = packedBatch(examples, [[0], [2]], 0);
    const plain = makeBatch(examples, [0, 2], 0);
    // Of a shorter row the plain batch also feeds the end token, which predicts nothing.
    expect({ ...batch, ids: [...batch.ids.subarray(0, 3), ...batch.ids.subarray(4)] }).toEqual({
      ...plain,
      ids: [...plain.ids.subarray(0, 3), ...plain.ids.subarray(4)],
    });
  });
});
