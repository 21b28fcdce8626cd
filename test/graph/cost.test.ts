import { expect, test } from "vitest";
import {
  costOf,
  crossEntropy,
  evaluateDim,
  formatDim,
  gatherRows,
  gradients,
  input,
  matmul,
  multiply,
  reshape,
  rmsNorm,
  sum,
  symbol,
  type Tensor,
} from "../../src/graph/index.js";

const R = symbol("R");
const cost = (tensor: Tensor, isUsed = (_: Tensor) => true) => {
  const { flops, bytes } = costOf(tensor.node, isUsed);
  return { flops: formatDim(flops), bytes: formatDim(bytes) };
};
const x = input("x", [R, 6]);

test("a product counts a multiply-add as two, and each operand once", () => {
  const w = input("w", [10, 6]);
  expect(cost(matmul(x, w, { transposeB: true }))).toEqual({ flops: "120*R", bytes: "240+64*R" });
  const dw = gradients(reshape(sum(matmul(x, w, { transposeB: true })), []), [w])[0]!;
  expect(formatDim(costOf(dw.node, () => true).flops)).toBe("120*R");
});

test("elementwise operations have no products", () => {
  expect(cost(multiply(x, x))).toEqual({ flops: "0", bytes: "72*R" });
});

test("another shape costs nothing, and an output that nobody reads neither", () => {
  expect(cost(reshape(x, [3, R, 2])).bytes).toBe("0");
  const y = rmsNorm(x, input("scale", [6]), 1e-6);
  expect(cost(y).bytes).toBe("24+52*R");
  expect(cost(y, (tensor) => tensor === y).bytes).toBe("24+48*R");
});

test("of a table only the rows that are asked for are read", () => {
  const table = input("table", [1000, 6]);
  expect(cost(gatherRows(table, input("ids", [R], "int32"))).bytes).toBe("48*R");
});

test("the head computes logits and the gradient of its input", () => {
  const table = input("table", [1000, 6]);
  const [targets, weights] = [input("targets", [R], "int32"), input("weights", [R])];
  const { loss } = crossEntropy(x, table, targets, weights, { chunkRows: 4 });
  const { flops } = costOf(loss.node, () => true);
  expect(evaluateDim(flops, { R: 7 })).toBe(2 * 2 * 7 * 6 * 1000);
});

test("what differentiation adds is marked as the backward pass", () => {
  const w = input("w", [10, 6]);
  const y = multiply(matmul(x, w, { transposeB: true }), 2);
  const [dw] = gradients(reshape(sum(y), []), [w]);
  expect(y.node.backward).toBe(false);
  expect(dw!.node.backward).toBe(true);
  expect(input("z", [1]).node.backward).toBe(false);
});
