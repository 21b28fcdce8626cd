import { describe, expect, test } from "vitest";
import {
  add,
  barrier,
  broadcastTo,
  concat,
  constant,
  crossEntropy,
  gatherRows,
  input,
  lessOrEqual,
  matmul,
  mean,
  reshape,
  rmsNorm,
  rope,
  ropeTable,
  scatterAddRows,
  select,
  slice,
  softmax,
  sum,
  symbol,
  transpose,
} from "../../src/graph/index.js";

const [B, T] = ["B", "T"].map(symbol) as [ReturnType<typeof symbol>, ReturnType<typeof symbol>];
const x = input("x", [B, T, 4]);
const y = input("y", [B, 3]);
const ids = input("ids", [B, T], "int32");
const half = input("half", [4, 4], "bfloat16");

describe("an operation that does not fit names itself, its operands and the reason", () => {
  test.each([
    [
      "add",
      () => add(x, y),
      "add(float32[B, T, 4], float32[B, 3]): shapes [B, T, 4] and [B, 3] do not broadcast",
    ],
    ["add of integers", () => add(x, ids), /^add\(.*int32\[B, T\]\): expected float32, got int32/],
    ["add of a stored type", () => add(half, half), /^add\(.*\): expected float32, got bfloat16/],
    [
      "matmul",
      () => matmul(x, y),
      "matmul(float32[B, T, 4], float32[B, 3]): inner dimensions differ",
    ],
    [
      "matmul, transposed",
      () => matmul(y, y, { transposeA: true, transposeB: true }),
      /inner dimensions differ/,
    ],
    [
      "matmul of a vector",
      () => matmul(y, constant(new Float32Array(3), [3])),
      /^matmul\(.*needs matrices/,
    ],
    ["matmul of integers", () => matmul(ids, x), /^matmul\(.*cannot multiply int32/],
    [
      "matmul, batches",
      () => matmul(x, input("z", [T, 4, 2])),
      /^matmul\(.*shapes \[B\] and \[T\] do not broadcast/,
    ],
    [
      "reshape",
      () => reshape(x, [B, 4]),
      "reshape(float32[B, T, 4]): 4*B*T elements cannot take shape [B, 4]",
    ],
    [
      "transpose",
      () => transpose(y, [0, 0]),
      "transpose(float32[B, 3]): [0, 0] is no permutation of the axes",
    ],
    ["transpose, too few", () => transpose(x, [1, 0]), /\[1, 0\] is no permutation/],
    ["slice", () => slice(y, 2, 0, 1), /^slice\(.*has no axis 2/],
    ["concat", () => concat(x, y, 1), /^concat\(.*shapes differ outside axis 1/],
    ["barrier", () => barrier(x, y), /^barrier\(.*shapes must be the same/],
    [
      "broadcast",
      () => broadcastTo(y, [B, 4]),
      /^broadcast\(float32\[B, 3\]\): shapes \[B, 3\] and \[B, 4\]/,
    ],
    ["broadcast to less", () => broadcastTo(x, [T, 4]), /^broadcast\(float32\[B, T, 4\]\)/],
    ["mean", () => mean(x, [1]), "mean(float32[B, T, 4]): the mean needs a fixed dimension"],
    ["sum of integers", () => sum(ids), /^sum\(int32\[B, T\]\): expected float32/],
    ["lessOrEqual", () => lessOrEqual(ids, x), /^lessOrEqual\(.*cannot compare int32 with float32/],
    ["select", () => select(x, x, x), /^select\(.*the condition must be bool/],
    ["softmax", () => softmax(ids), /^softmax\(.*expected float32/],
    ["gatherRows, table", () => gatherRows(x, ids), /^gatherRows\(.*the table must be a matrix/],
    ["gatherRows, indices", () => gatherRows(y, y), /^gatherRows\(.*indices must be int32/],
    [
      "scatterAddRows",
      () => scatterAddRows(y, input("i", [T], "int32"), 5),
      /^scatterAddRows\(.*one index is needed for each row/,
    ],
    [
      "scatterAddRows, rank",
      () => scatterAddRows(y, ids, 5),
      /^scatterAddRows\(.*one index is needed for each row/,
    ],
    [
      "scatterAddRows, fewer axes",
      () => scatterAddRows(x, input("i", [B], "int32"), 5),
      /^scatterAddRows\(.*one index is needed for each row/,
    ],
    [
      "scatterAddRows, type",
      () => scatterAddRows(y, input("i", [B]), 5),
      /^scatterAddRows\(.*indices must be int32/,
    ],
    ["rmsNorm", () => rmsNorm(x, input("s", [3]), 1e-6), /^rmsNorm\(.*one scale per feature/],
    ["rope", () => rope(x, ids, ropeTable(8, 4, 1e4)), /^rope\(.*needs x \[B, H, T, d\]/],
    [
      "rope, table",
      () => rope(input("q", [B, 2, T, 4]), ids, ropeTable(8, 8, 1e4)),
      /^rope\(.*cos and sin \[P, d\/2\]/,
    ],
    [
      "rope, positions",
      () => rope(input("q", [B, 2, T, 4]), input("p", [B], "int32"), ropeTable(8, 4, 1e4)),
      /^rope\(.*needs x \[B, H, T, d\]/,
    ],
    [
      "crossEntropy",
      () => crossEntropy(y, half, input("t", [B], "int32"), input("w", [B]), { chunkRows: 4 }),
      /^crossEntropy\(.*bfloat16\[4, 4\].*needs hidden \[R, D\], table \[V, D\]/,
    ],
    [
      "crossEntropy, targets",
      () => crossEntropy(y, input("e", [9, 3]), ids, input("w", [T]), { chunkRows: 4 }),
      /^crossEntropy\(.*targets \[R\]/,
    ],
    [
      "crossEntropy, type of targets",
      () => crossEntropy(y, input("e", [9, 3]), input("t", [B]), input("w", [B]), { chunkRows: 4 }),
      /^crossEntropy\(.*targets must be int32/,
    ],
    [
      "crossEntropy, vector",
      () =>
        crossEntropy(y, input("e", [3]), input("t", [B], "int32"), input("w", [B]), {
          chunkRows: 4,
        }),
      /^crossEntropy\(.*table \[V, D\]/,
    ],
  ])("%s", (_name, build, message) => {
    expect(build).toThrow(message);
  });

  test("a constant with the wrong number of values", () => {
    expect(() => constant(new Float32Array(5), [2, 3])).toThrow(
      "constant: 5 values for shape [2, 3]",
    );
  });
});
