import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { input, multiplyDims, program, ropeTable, symbol } from "../../src/graph/index.js";
import { attention } from "../../src/nn/attention.js";
import { causalBias } from "../../src/nn/cachedAttention.js";
import { createRandom } from "../../src/random.js";
import { type Array64, evaluateProgram } from "../graph/referenceEngine.js";
import { largestDifference } from "../support/closeness.js";

interface Sizes {
  readonly width: number;
  readonly kvHeads: number;
  readonly group: number;
  readonly headDim: number;
}

const [batch, length] = [2, 5];
const positionsOf = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4];

function inputsOf({ width, kvHeads, group, headDim }: Sizes, seed: number) {
  const random = createRandom({ seed, stream: "init" });
  const array = (...shape: number[]): Array64 => ({
    data: Float64Array.from(
      { length: shape.reduce((a, b) => a * b) },
      () => random.uniform() - 0.5,
    ),
    shape,
  });
  return {
    x: array(batch * length, width),
    query: array(kvHeads * group * headDim, width),
    key: array(kvHeads * headDim, width),
    value: array(kvHeads * headDim, width),
    output: array(width, kvHeads * group * headDim),
    positions: { data: Float64Array.from(positionsOf), shape: [batch, length] },
  };
}

/** What the graph says attention is, evaluated in float64. */
function graphAttention(sizes: Sizes, scale: number, inputs: ReturnType<typeof inputsOf>) {
  const { width, kvHeads, group, headDim } = sizes;
  const [B, T] = [symbol("B"), symbol("T")];
  const positions = input("positions", [B, T], "int32");
  const weight = (name: keyof typeof inputs) => ({
    weight: input(name, inputs[name].shape),
  });
  const context = {
    batch: B,
    length: T,
    positions,
    rope: ropeTable(8, headDim, 100),
  };
  const y = attention(
    input("x", [multiplyDims(B, T), width]),
    {
      query: weight("query"),
      key: weight("key"),
      value: weight("value"),
      output: weight("output"),
    },
    { numHeads: kvHeads * group, numKeyValueHeads: kvHeads, headDim, scale },
    context,
    0,
  );
  return evaluateProgram(program({ y }), inputs).y!;
}

/** The paper's formula, head by head: softmax(scale · q kᵀ) v over the tokens up to one's own. */
function directAttention(sizes: Sizes, scale: number, i: ReturnType<typeof inputsOf>): number[] {
  const { width, kvHeads, group, headDim } = sizes;
  const dot = (w: Array64, row: number, x: ArrayLike<number>) =>
    Array.from({ length: x.length }, (_, k) => w.data[row * x.length + k]! * x[k]!).reduce(
      (a, b) => a + b,
      0,
    );
  const rotate = (v: number[], position: number) => {
    const half = headDim / 2;
    return v.map((value, d) => {
      // The table holds float32, so the truth rounds as it does.
      const angle = position / 100 ** ((d % half) / half);
      const [cos, sin] = [Math.fround(Math.cos(angle)), Math.fround(Math.sin(angle))];
      return value * cos + (d < half ? -v[d + half]! : v[d - half]!) * sin;
    });
  };
  const result: number[] = [];
  for (let b = 0; b < batch; b++) {
    const token = (t: number) =>
      i.x.data.subarray((b * length + t) * width, (b * length + t + 1) * width);
    const project = (w: Array64, head: number, t: number) =>
      Array.from({ length: headDim }, (_, d) => dot(w, head * headDim + d, token(t)));
    for (let t = 0; t < length; t++) {
      const mixed: number[] = [];
      for (let head = 0; head < kvHeads * group; head++) {
        const shared = Math.floor(head / group);
        const q = rotate(project(i.query, head, t), t);
        const powers = Array.from({ length: t + 1 }, (_, s) => {
          const k = rotate(project(i.key, shared, s), s);
          return Math.exp(scale * q.reduce((sum, value, d) => sum + value * k[d]!, 0));
        });
        const total = powers.reduce((a, c) => a + c, 0);
        const values = powers.map((_, s) => project(i.value, shared, s));
        for (let d = 0; d < headDim; d++) {
          mixed.push(powers.reduce((sum, p, s) => sum + (p / total) * values[s]![d]!, 0));
        }
      }
      for (let row = 0; row < width; row++) result.push(dot(i.output, row, mixed));
    }
  }
  return result;
}

const sizes: fc.Arbitrary<Sizes> = fc.record({
  width: fc.integer({ min: 3, max: 7 }),
  kvHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 3 }),
  headDim: fc.constantFrom(2, 4),
});

describe("attention", () => {
  test("is the paper's, with keys and values shared by groups of heads", () => {
    fc.assert(
      fc.property(sizes, fc.constantFrom(0.25, 1, 3), fc.nat(), (size, scale, seed) => {
        const inputs = inputsOf(size, seed);
        const mine = graphAttention(size, scale, inputs);
        expect(mine.shape).toEqual([batch * length, size.width]);
        expect(largestDifference(mine.data, directAttention(size, scale, inputs))).toBeLessThan(
          1e-12,
        );
      }),
      { numRuns: 20 },
    );
  });

  test("of a token does not depend on later ones, nor on other rows of the batch", () => {
    const size = { width: 4, kvHeads: 1, group: 2, headDim: 4 };
    const inputs = inputsOf(size, 1);
    const before = graphAttention(size, 0.5, inputs).data;
    const changed = { ...inputs.x, data: inputs.x.data.map((v, i) => (i < 3 * 4 ? v : v + 1)) };
    const after = graphAttention(size, 0.5, { ...inputs, x: changed }).data;
    expect(after.subarray(0, 12)).toEqual(before.subarray(0, 12));
    expect(after.subarray(12)).not.toEqual(before.subarray(12));
  });
});

test("the bias is 0 where a query may look and far below any score elsewhere", () => {
  const bias = causalBias(input("q", [1, 2], "int32"), input("k", [1, 4], "int32"));
  const values = evaluateProgram(program({ bias }), {
    q: { data: Float64Array.of(1, 2), shape: [1, 2] },
    k: { data: Float64Array.of(0x7fffffff, 0, 1, 2), shape: [1, 4] },
  }).bias!;
  expect(values.shape).toEqual([1, 1, 1, 2, 4]);
  const far = Math.fround(-1e30);
  expect([...values.data]).toEqual([far, 0, 0, far, far, 0, 0, 0]);
});
