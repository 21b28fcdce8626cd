import { describe, expect, test } from "vitest";
import {
  add,
  exp,
  gradients,
  input,
  lessOrEqual,
  multiply,
  nodesBefore,
  program,
  reshape,
  rmsNorm,
  sigmoid,
  sum,
  symbol,
  type Tensor,
  toFloat32,
} from "../../src/graph/index.js";
import { evaluateProgram, toArray64 } from "./referenceEngine.js";

const total = (x: Tensor) => reshape(sum(x), []);
const a = input("a", [3]);
const b = input("b", [3]);
const at = {
  a: toArray64({ data: [1, 2, 3], shape: [3] }),
  b: toArray64({ data: [5, 7, 11], shape: [3] }),
};
const resultOf = (tensor: Tensor) => [...evaluateProgram(program({ tensor }), at).tensor!.data];

describe("gradients", () => {
  test("add up over every use of a parameter", () => {
    // d/da Σ (a·a·b + a) = 2ab + 1
    const loss = total(add(multiply(multiply(a, a), b), a));
    const [da, db] = gradients(loss, [a, b]);
    expect(resultOf(da!)).toEqual([11, 29, 67]);
    expect(resultOf(db!)).toEqual([1, 4, 9]);
  });

  test("of gradients: the backward pass is a graph like any other", () => {
    const [first] = gradients(total(multiply(multiply(a, a), a)), [a]);
    const [second] = gradients(total(first!), [a]);
    expect(resultOf(second!)).toEqual([6, 12, 18]);
  });

  test("of an intermediate value are those of what depends on it", () => {
    const middle = multiply(a, b);
    const [d] = gradients(total(exp(multiply(middle, 0.01))), [middle]);
    expect(resultOf(d!)[0]!).toBeCloseTo(0.01 * Math.exp(0.05), 8);
  });

  test("of the loss itself is 1", () => {
    const loss = total(a);
    expect(resultOf(gradients(loss, [loss])[0]!)).toEqual([1]);
  });

  test("are built only between a parameter and the loss", () => {
    const frozen = sigmoid(multiply(b, 3));
    const loss = total(multiply(frozen, a));
    const before = new Set(nodesBefore(loss));
    const [da] = gradients(loss, [a]);
    const added = nodesBefore(da!).filter((node) => !before.has(node));
    // No derivative of the sigmoid: the gradient is `frozen`, with what brings 1 to its shape.
    expect(resultOf(da!)).toEqual(resultOf(frozen));
    expect(added.map((node) => node.operation.name)).not.toContain("subtract");
    expect(program({ da: da! }).inputs.has("a")).toBe(false);
  });

  test("a parameter that the loss does not depend on is named", () => {
    expect(() => gradients(total(a), [a, b])).toThrow("the loss does not depend on parameter b");
  });

  test("a loss that is no scalar is refused, with its shape", () => {
    expect(() => gradients(multiply(a, a), [a])).toThrow("the loss must be a scalar, not [3]");
    expect(() => gradients(sum(input("m", [symbol("B"), 2])), [a])).toThrow("not [1, 1]");
  });

  test("what has no derivative is refused by name, unless no parameter reaches it", () => {
    const mask = toFloat32(lessOrEqual(b, b));
    expect(() => gradients(total(multiply(a, mask)), [a])).not.toThrow();
    const ofA = toFloat32(lessOrEqual(a, b));
    expect(() => gradients(total(multiply(a, ofA)), [a])).toThrow("cast has no gradient");
  });

  test("a second derivative that a rule leaves out is refused, not wrong", () => {
    const [first] = gradients(total(rmsNorm(a, b, 1e-6)), [a]);
    expect(() => gradients(total(first!), [a])).toThrow(
      "rmsNorm: its gradient cannot be differentiated again",
    );
  });
});
