import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeBatch } from "../../src/data/batches.js";
import type { Example } from "../../src/data/examples.js";

const example = (ids: number[], isTarget: number[]): Example => ({
  ids: Int32Array.from(ids),
  isTarget: Uint8Array.from(isTarget),
  line: 1,
  truncated: 0,
});

describe("makeBatch", () => {
  it("shifts targets by one and pads on the right to the longest row", () => {
    const examples = [example([2, 7, 8, 1], [0, 0, 1, 1]), example([2, 9, 1], [0, 1, 1])];
    expect(makeBatch(examples, [1, 0], 99)).toEqual({
      ids: Int32Array.of(2, 9, 1, 2, 7, 8),
      targets: Int32Array.of(9, 1, 99, 7, 8, 1),
      weights: Float32Array.of(1, 1, 0, 0, 1, 1),
      size: 2,
      length: 3,
      targetTokens: 4,
      rows: [1, 0],
    });
    expect(makeBatch(examples, [1], 99).length).toBe(2);
  });

  it("refuses no rows, and a row that is not there", () => {
    expect(() => makeBatch([], [], 0)).toThrow(/at least one/);
    expect(() => makeBatch([example([2, 1], [0, 1])], [1], 0)).toThrow(/no example 1; there are 1/);
  });

  it("holds every row's ids and flags, and only padding beside them", () => {
    const row = fc
      .array(fc.tuple(fc.integer({ min: 3, max: 500 }), fc.boolean()), { maxLength: 12 })
      .map((tokens) =>
        example(
          [2, ...tokens.map(([id]) => id), 1],
          [0, ...tokens.map(([, target]) => Number(target)), 1],
        ),
      );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 6 }), (examples) => {
        const batch = makeBatch(examples, examples.keys(), 0);
        expect(batch.length).toBe(Math.max(...examples.map((e) => e.ids.length)) - 1);
        expect(batch.targetTokens).toBe(batch.weights.reduce((sum, w) => sum + w, 0));
        examples.forEach(({ ids, isTarget }, b) => {
          const [from, end, next] = [
            b * batch.length,
            b * batch.length + ids.length - 1,
            (b + 1) * batch.length,
          ];
          const inputs = [...ids, ...new Array<number>(batch.length).fill(0)];
          expect([...batch.ids.slice(from, next)]).toEqual(inputs.slice(0, batch.length));
          expect([2, ...batch.targets.slice(from, end)]).toEqual([...ids]);
          expect([0, ...batch.weights.slice(from, end)]).toEqual([...isTarget]);
          for (const values of [batch.targets, batch.weights]) {
            expect(values.slice(end, next).every((value) => value === 0)).toBe(true);
          }
        });
      }),
    );
  });
});
