import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toOnnx } from "../../src/engines/onnx/compile.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import {
  add,
  constant,
  crossEntropy,
  exp,
  gatherRows,
  gradients,
  input,
  lessOrEqual,
  matmul,
  multiply,
  multiplyDims,
  type Program,
  program,
  reshape,
  sum,
  symbol,
  type Tensor,
  toFloat32,
} from "../../src/graph/index.js";

const R = symbol("R");
const engine = onnxEngine({ threads: 1 });
const floats = (values: number[], shape: number[]) => ({ data: Float32Array.from(values), shape });
const integers = (values: number[], shape: number[]) => ({ data: Int32Array.from(values), shape });

/** Runs a program of one output, `y`. */
async function run(y: Tensor, inputs: Parameters<typeof runAll>[1]) {
  return (await runAll(program({ y }), inputs)).y!;
}

async function runAll(
  p: Program,
  inputs: Readonly<Record<string, ReturnType<typeof floats> | ReturnType<typeof integers>>>,
) {
  const executable = await engine.compile(p);
  try {
    return await executable.run(inputs);
  } finally {
    await executable.close();
  }
}

describe("inputs", () => {
  const x = input("x", [R, 2]);
  const y = add(x, input("w", [2]));
  const w = floats([1, 1], [2]);

  test.each([
    ["missing", { w }, "input x is missing"],
    ["unknown", { w, x: floats([1, 2], [1, 2]), z: w }, "the program has no input z"],
    [
      "of another length",
      { w: floats([1, 2, 3], [3]), x: floats([1, 2], [1, 2]) },
      "input w must have shape [2], got [3] with 3 values",
    ],
    [
      "of another rank",
      { w, x: floats([1, 2], [2]) },
      "input x must have shape [R, 2], got [2] with 2 values",
    ],
    [
      "shorter than their shape",
      { w, x: floats([1, 2], [2, 2]) },
      "input x must have shape [R, 2], got [2, 2] with 2 values",
    ],
    ["of another type", { w, x: integers([1, 2], [1, 2]) }, "input x must be float32, got int32"],
  ])("%s are refused by name", async (_what, inputs, message) => {
    await expect(run(y, inputs as Parameters<typeof run>[1])).rejects.toThrow(message);
  });

  test("that share a symbol must agree on it", async () => {
    const both = multiply(x, input("z", [R, 1]));
    const inputs = { x: floats([1, 2], [1, 2]), z: floats([1, 2], [2, 1]) };
    await expect(run(both, inputs)).rejects.toThrow("input z must have shape [R, 1]");
  });

  test("whose symbols have no value are named", async () => {
    const doubled = reshape(input("a", [multiplyDims(R, 2)]), [R, 2]);
    await expect(run(doubled, { a: floats([1, 2], [2]) })).rejects.toThrow(
      "dimension R is not bound in this run",
    );
  });

  test("may be empty", async () => {
    expect(await run(y, { w, x: floats([], [0, 2]) })).toEqual(floats([], [0, 2]));
  });
});

describe("outputs", () => {
  const x = input("x", [R, 2]);
  const one = { x: floats([1, 2], [1, 2]) };

  test("are written into the buffers given for them, which may be views of a larger one", async () => {
    const executable = await engine.compile(program({ y: add(x, 1), z: exp(x) }));
    const whole = new Float32Array(8).fill(-1);
    const view = { data: whole.subarray(3, 5), shape: [1, 2] };
    const { y, z } = await executable.run(one, { y: view });
    expect(y).toBe(view);
    expect([...whole]).toEqual([-1, -1, -1, 2, 3, -1, -1, -1]);
    expect(z!.data[0]).toBeCloseTo(Math.E, 5);
    await executable.close();
  });

  test.each([
    ["for no output", { z: floats([0, 0], [1, 2]) }, "the program has no output z"],
    [
      "of another shape",
      { y: floats([0, 0], [2, 1]) },
      "the buffer for output y must have shape [R, 2], got [2, 1] with 2 values",
    ],
    [
      "of another type",
      { y: integers([0, 0], [1, 2]) },
      "the buffer for output y must be float32, got int32",
    ],
  ])("a buffer %s is refused", async (_what, into, message) => {
    const executable = await engine.compile(program({ y: add(x, 1) }));
    await expect(executable.run(one, into as never)).rejects.toThrow(message);
    await executable.close();
  });

  test("may be an input, a constant, or one tensor under two names", async () => {
    const y = add(x, 1);
    const outputs = await runAll(program({ a: x, b: y, c: y, d: constant(3) }), one);
    expect(outputs.a).toEqual(one.x);
    expect(outputs.b).toEqual(floats([2, 3], [1, 2]));
    expect(outputs.c).toEqual(outputs.b);
    expect(outputs.d).toEqual(floats([3], []));
  });

  test("of integers are int32; bools have to be made numbers", async () => {
    const i = input("i", [2], "int32");
    expect(await run(reshape(i, [2, 1]), { i: integers([7, -1], [2]) })).toEqual(
      integers([7, -1], [2, 1]),
    );
    const bools = lessOrEqual(i, i);
    expect(await run(toFloat32(bools), { i: integers([7, -1], [2]) })).toEqual(floats([1, 1], [2]));
    await expect(engine.compile(program({ bools }))).rejects.toThrow("output bools is bool");
  });

  test("cannot have an input's name; the engine's own names are no danger", async () => {
    await expect(engine.compile(program({ x: add(x, 1) }))).rejects.toThrow(
      "x names an input and an output",
    );
    const v0 = input("v0", [1]);
    expect(await run(add(add(v0, 1), 2), { v0: floats([4], [1]) })).toEqual(floats([7], [1]));
  });
});

describe("an executable", () => {
  test("serves every length of its symbols", async () => {
    const [B, T] = [symbol("B"), symbol("T")];
    const x = input("x", [B, T, 3]);
    const w = input("w", [3, 3]);
    const rows = reshape(matmul(x, w), [multiplyDims(B, T), 3]);
    const [dw] = gradients(reshape(sum(multiply(rows, rows)), []), [w]);
    const executable = await engine.compile(program({ rows, dw: dw! }));
    const identity = floats([1, 0, 0, 0, 1, 0, 0, 0, 1], [3, 3]);
    for (const [b, t] of [
      [1, 1],
      [2, 5],
      [7, 2],
      [1, 1],
    ] as const) {
      const values = Array.from({ length: b * t * 3 }, (_, i) => i % 5);
      const { rows: y, dw: d } = await executable.run({
        x: floats(values, [b, t, 3]),
        w: identity,
      });
      expect(y).toEqual(floats(values, [b * t, 3]));
      // d/dW Σ (x W)² = 2 xᵀ x W
      const firstFirst = values.reduce((a, v, i) => a + (i % 3 === 0 ? 2 * v * v : 0), 0);
      expect(d!.data[0]).toBe(firstFirst);
    }
    await executable.close();
  });

  test("is closed once and for all, and may be closed twice", async () => {
    const executable = await engine.compile(program({ y: add(input("x", [1]), 1) }));
    await executable.close();
    await executable.close();
    await expect(executable.run({ x: floats([1], [1]) })).rejects.toThrow("closed");
  });

  test("computes no loss, and no gradient, for a batch without targets", async () => {
    const [hidden, table] = [input("hidden", [R, 3]), input("table", [5, 3])];
    const head = crossEntropy(hidden, table, input("t", [R], "int32"), input("w", [R]), {
      chunkRows: 4,
    });
    const [dHidden, dTable] = gradients(head.loss, [hidden, table]);
    const outputs = await runAll(
      program({ loss: head.loss, rowLoss: head.rowLoss, dHidden: dHidden!, dTable: dTable! }),
      {
        hidden: floats([], [0, 3]),
        table: floats(new Array(15).fill(1), [5, 3]),
        t: integers([], [0]),
        w: floats([], [0]),
      },
    );
    expect(outputs.loss!.data[0]).toBe(0);
    expect(outputs.rowLoss!.shape).toEqual([0]);
    expect(outputs.dHidden!.shape).toEqual([0, 3]);
    expect([...outputs.dTable!.data]).toEqual(new Array(15).fill(0));
  });

  test("refuses an index outside its table", async () => {
    const y = gatherRows(input("table", [3, 1]), input("i", [1], "int32"));
    const table = floats([1, 2, 3], [3, 1]);
    await expect(run(y, { table, i: integers([7], [1]) })).rejects.toThrow(/out of data bounds/);
  });
});

describe("crossEntropy", () => {
  const [rows, table] = [3, 4];
  const loss = (hidden: number[], targets: number[], weights = [1, 1, 1]) => {
    const head = crossEntropy(
      input("h", [rows, 2]),
      input("e", [table, 2]),
      input("t", [rows], "int32"),
      input("w", [rows]),
      { chunkRows: 2 },
    );
    return runAll(program({ ...head }), {
      h: floats(hidden, [rows, 2]),
      e: floats([1, 0, 0, 1, -1, 0, 0, -1], [table, 2]),
      t: integers(targets, [rows]),
      w: floats(weights, [rows]),
    });
  };

  test("stays finite where the target's probability underflows", async () => {
    const { rowLoss } = await loss([500, 0, 0, 900, -3000, 0], [2, 3, 0]);
    expect([...rowLoss!.data]).toEqual([1000, 1800, 6000]);
  });

  test("tells whether the best id is the target, and weights the sum", async () => {
    const result = await loss([5, 0, 0, 5, 5, 0], [0, 1, 3], [1, 0.5, 0]);
    expect([...result.correct!.data]).toEqual([1, 1, 0]);
    const [first, second] = result.rowLoss!.data;
    expect(result.loss!.data[0]).toBeCloseTo(first! + 0.5 * second!, 6);
  });

  test("is computed in equal chunks of at most chunkRows, padded by less than a row each", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 60 }),
        (largest, n) => {
          const head = crossEntropy(
            input("h", [R, 2]),
            input("e", [table, 2]),
            input("t", [R], "int32"),
            input("w", [R]),
            { chunkRows: largest },
          );
          const { runtimeIntegers } = toOnnx(program({ ...head }));
          const value = (end: string) =>
            runtimeIntegers.find(({ name }) => name.endsWith(end))!.evaluate({ R: n });
          const [[count], [chunks, size]] = [value("count"), value("shape  | ")] as [
            [number],
            number[],
          ];
          expect(chunks).toBe(count);
          expect(size).toBeLessThanOrEqual(largest);
          expect(count * size! - n).toBeGreaterThanOrEqual(0);
          expect(count * size! - n).toBeLessThan(count);
        },
      ),
    );
  });
});
