import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { input, multiply, program, symbol, uniform } from "../../src/graph/index.js";
import { evaluateProgram, toArray64 } from "./referenceEngine.js";

const [B, T] = [symbol("B"), symbol("T")];
const seed = input("seed", [], "int32");
/** Its shape gives the symbols their values. */
const like = input("like", [B, T]);

const inputsOf = (value: number, [b, t]: readonly [number, number]) => ({
  seed: { data: Int32Array.of(value), shape: [] },
  like: { data: new Float32Array(b * t).fill(1), shape: [b, t] },
});

async function draw(value: number, stream: number, shape: readonly [number, number]) {
  const p = program({ u: multiply(like, uniform(seed, [B, T], stream)) });
  const executable = await onnxEngine({ threads: 1 }).compile(p);
  const { u } = await executable.run(inputsOf(value, shape));
  await executable.close();
  return u!.data as Float32Array;
}

/** Of two rows of numbers on [0, 1], place by place as far as both go. */
function correlation(one: Float32Array, other: Float32Array): number {
  const pairs = Math.min(one.length, other.length);
  let sum = 0;
  for (let i = 0; i < pairs; i++) sum += (one[i]! - 0.5) * (other[i]! - 0.5);
  return (12 * sum) / pairs;
}

describe("uniform", () => {
  test("is the same function of seed, stream and place in every engine, to the last bit of float32", async () => {
    const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 0, max: 200 }), async (value, stream) => {
        const p = program({ u: multiply(like, uniform(seed, [B, T], stream)) });
        const { seed: s, like: l } = inputsOf(value, [3, 70]);
        const exact = evaluateProgram(p, { seed: toArray64(s), like: toArray64(l) }).u!;
        expect(await draw(value, stream, [3, 70])).toEqual(Float32Array.from(exact.data));
      }),
      { numRuns: 8, seed: 2 },
    );
  });

  test("draws these numbers for ever, so that a run resumes under a later version", async () => {
    const drawn = (numbers: number[]) => Float32Array.from(numbers, (x) => x / 2 ** 31);
    expect(await draw(1, 0, [1, 3])).toEqual(drawn([1649720672, 559257447, 1033042248]));
    expect(await draw(2 ** 31 - 1, 3, [1, 3])).toEqual(drawn([1849257752, 1473521238, 493720055]));
  });

  test("is spread evenly over [0, 1], without a trend from one place to the next", async () => {
    const data = await draw(12345, 3, [100, 400]);
    const bins = new Array<number>(20).fill(0);
    for (const value of data) {
      expect(value >= 0 && value <= 1).toBe(true);
      bins[Math.min(19, Math.floor(20 * value))]! += 1;
    }
    // Chi-squared with 19 degrees of freedom stays below 50 but for one draw in 10,000.
    const expected = data.length / 20;
    expect(bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)).toBeLessThan(50);
    // Four standard deviations of the correlation of 40,000 pairs.
    for (const lag of [1, 2, 400]) {
      expect(Math.abs(correlation(data, data.subarray(lag)))).toBeLessThan(0.02);
    }
  });

  test("has the mean and the variance of a uniform number", async () => {
    const data = await draw(77, 5, [200, 500]);
    const mean = data.reduce((a, b) => a + b, 0) / data.length;
    const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length;
    // Four standard deviations: of the mean √(1/12 / n), of the variance √(1/180 / n).
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / data.length));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / data.length));
  });

  test("neighbouring seeds and streams have nothing to do with each other", async () => {
    const places = [
      [40, 0],
      [41, 0],
      [42, 0],
      [40, 1],
      [40, 2],
      [41, 1],
      [0, 0],
      [2 ** 31 - 2, 7],
    ] as const;
    const all = await Promise.all(places.map(([s, stream]) => draw(s, stream, [50, 100])));
    for (const [i, one] of all.entries()) {
      for (const other of all.slice(i + 1)) {
        // Four standard deviations of the correlation of 5,000 pairs.
        expect(Math.abs(correlation(one, other))).toBeLessThan(4 / Math.sqrt(5000));
      }
    }
  });

  test("differs between seeds, streams and places", async () => {
    const [one, other, stream] = [
      await draw(1, 0, [1, 50]),
      await draw(2, 0, [1, 50]),
      await draw(1, 1, [1, 50]),
    ];
    expect(new Set([...one, ...other, ...stream]).size).toBe(150);
  });

  test("streams do not run into each other: none is a stretch of another", async () => {
    const long = await draw(1, 0, [1, 500_000]);
    for (const stream of [1, 2, 3]) {
      const [first, second] = await draw(1, stream, [1, 2]);
      const repeats = long.findIndex((value, i) => value === first && long[i + 1] === second);
      expect(repeats).toBe(-1);
    }
  });

  test("wants an int32 scalar as its seed", () => {
    expect(() => uniform(input("s", [1], "int32"), [2], 0)).toThrow(
      "uniform(int32[1]): the seed must be an int32 scalar",
    );
    expect(() => uniform(input("s", []), [2], 0)).toThrow("the seed must be an int32 scalar");
  });
});
