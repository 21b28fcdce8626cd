import { describe, expect, test } from "vitest";
import { openCache } from "../../src/generation/cache.js";

const shape = { numLayers: 2, numKeyValueHeads: 2, headDim: 3 };
const names = ["keys.0", "values.0", "keys.1", "values.1"];

/** A number for each element of a cache, other ones everywhere. */
const number = (name: string, head: number, place: number, i: number) =>
  100_000 * names.indexOf(name) + 10_000 * head + 10 * place + i;

/** A cache that was given the tokens in pieces of these sizes, and the buffers of its first layer's keys on the way. */
function filled(batch: number, counts: readonly number[]) {
  const cache = openCache(shape, batch);
  const buffers = counts.map((count) => {
    const outputs = names.map((name) => {
      const data = Float32Array.from({ length: batch * 2 * count * 3 }, (_, at) => {
        const [row, i] = [Math.floor(at / 3), at % 3];
        return number(name, Math.floor(row / count), cache.length + (row % count), i);
      });
      return [`new.${name}`, { data, shape: [batch, 2, count, 3] }] as const;
    });
    cache.append(Object.fromEntries(outputs));
    return cache.inputs()["keys.0"]!.data;
  });
  return { cache, buffers };
}

describe("a key/value cache", () => {
  test.each([
    [1, [5, 1, 1]],
    [3, [100, 1, 1, 60, 1]],
    [2, [300, 1, 100, 1]],
  ])("of %d rows keeps every token of every head when it grows: %j", (batch, counts) => {
    const { cache } = filled(batch, counts);
    const total = counts.reduce((a, b) => a + b, 0);
    expect(cache.length).toBe(total);
    expect(cache.capacity).toBe(Math.ceil(total / 128) * 128);
    for (const name of names) {
      const { data, shape } = cache.inputs()[name]!;
      expect(shape).toEqual([batch, 2, cache.capacity, 3]);
      for (let head = 0; head < batch * 2; head++) {
        const begin = head * cache.capacity * 3;
        expect([...data.subarray(begin, begin + total * 3)]).toEqual(
          Array.from({ length: total * 3 }, (_, i) => number(name, head, Math.floor(i / 3), i % 3)),
        );
      }
    }
  });

  test("is the same buffer from token to token, but for the first and one in 128", () => {
    const { buffers } = filled(1, Array<number>(300).fill(1));
    expect(new Set(buffers).size).toBe(4);
  });

  test("has a place before it has a token", () => {
    const cache = openCache(shape, 2);
    expect(cache).toMatchObject({ length: 0, capacity: 1 });
    expect(cache.inputs()["values.1"]).toEqual({ data: new Float32Array(12), shape: [2, 2, 1, 3] });
  });
});
