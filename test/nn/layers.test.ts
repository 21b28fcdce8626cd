import { describe, expect, test } from "vitest";
import { add, input, matmul, multiply, program, type Tensor } from "../../src/graph/index.js";
import { geglu } from "../../src/nn/geglu.js";
import { linear } from "../../src/nn/linear.js";
import { evaluateProgram } from "../graph/referenceEngine.js";

const x = input("x", [2, 2]);
const array = (values: number[], shape: number[]) => ({ data: Float64Array.from(values), shape });
const evaluate = (y: Tensor, inputs: Parameters<typeof evaluateProgram>[1]) =>
  evaluateProgram(program({ y }), inputs).y!;

describe("linear", () => {
  const weight = input("w", [3, 2]);
  const inputs = { x: array([1, 2, 3, 4], [2, 2]), w: array([1, 0, 0, 1, 10, 100], [3, 2]) };

  test("is x Wᵀ for a weight [out, in]", () => {
    expect(evaluate(linear(x, { weight }), inputs)).toEqual(array([1, 2, 210, 3, 4, 430], [2, 3]));
  });

  test("is what its adapter makes of it, and of the input", () => {
    const adapt = (input: Tensor, y: Tensor) =>
      add(y, multiply(matmul(input, weight, { transposeB: true }), 2));
    expect(evaluate(linear(x, { weight, adapt }), inputs)).toEqual(
      array([3, 6, 630, 9, 12, 1290], [2, 3]),
    );
  });
});

test("geglu is down(gelu(gate x) · up x)", () => {
  const w = (name: string) => ({ weight: input(name, [2, 2]) });
  const y = geglu(x, { gate: w("gate"), up: w("up"), down: w("down") });
  const result = evaluate(y, {
    x: array([1, 2, -1, 0.5], [2, 2]),
    gate: array([1, 0, 0, 1], [2, 2]),
    up: array([0, 1, 1, 0], [2, 2]),
    down: array([1, 1, 1, -1], [2, 2]),
  });
  const gelu = (v: number) =>
    (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  const rows = [
    [gelu(1) * 2, gelu(2) * 1],
    [gelu(-1) * 0.5, gelu(0.5) * -1],
  ] as const;
  rows.forEach(([a, b], i) => {
    expect(result.data[2 * i]).toBeCloseTo(a + b, 12);
    expect(result.data[2 * i + 1]).toBeCloseTo(a - b, 12);
  });
});
