import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lowerings } from "../../src/engines/onnx/operators.js";
import {
  barrier,
  causalAttention,
  concat,
  crossEntropy,
  gradients,
  input,
  lessOrEqual,
  multiply,
  nodesBefore,
  type Operation,
  program,
  reshape,
  slice,
  stopGradient,
  sum,
  toFloat32,
  uniform,
} from "../../src/graph/index.js";
import { checkGradient, operationsOf } from "./gradientCase.js";
import { gradientCases } from "./gradientCases.js";
import { operationNames } from "./operationNames.js";
import { evaluateProgram } from "./referenceEngine.js";
import { reference } from "./referenceOperations.js";

const sources = ["input", "weight", "constant"];
const x = input("x", [2, 2]);
const heads = input("heads", [1, 1, 2, 2]);
const attended = causalAttention(heads, heads, heads, input("positions", [1, 2], "int32"), {
  scale: 1,
  blockQueries: 1,
});
const [attentionGradient] = gradients(reshape(sum(attended), []), [heads]);
/** The operations that have no derivative, or none that Facet needs. */
const notDifferentiable: Readonly<Record<string, Operation>> = {
  lessOrEqual: lessOrEqual(x, x).node.operation,
  cast: toFloat32(lessOrEqual(x, x)).node.operation,
  concat: concat(x, x, 0).node.operation,
  slice: slice(x, 0, 1, 1).node.operation,
  barrier: barrier(x, x).node.operation,
  causalAttentionGradient: nodesBefore(attentionGradient!).find(
    ({ operation }) => operation.name === "causalAttentionGradient",
  )!.operation,
  uniform: uniform(input("seed", [], "int32"), [2], 0).node.operation,
};

describe("every operation of src/graph", () => {
  test("is differentiated below, or is known not to be differentiable", () => {
    const covered = [...Object.keys(gradientCases), ...Object.keys(notDifferentiable)];
    expect(operationNames().sort()).toEqual([...covered, ...sources, "stopGradient"].sort());
    for (const [name, operation] of Object.entries(notDifferentiable)) {
      expect(operation.name).toBe(name);
      expect(operation.gradient).toBeUndefined();
    }
  });

  test("is differentiated under its own name", () => {
    for (const [name, cases] of Object.entries(gradientCases)) {
      // A broadcast to the same shape is no operation, so one sample may not have it.
      const operations = fc.sample(cases, { numRuns: 30, seed: 1 }).flatMap(operationsOf);
      expect(operations.map((operation) => operation.name)).toContain(name);
      expect(operations.find((operation) => operation.name === name)!.gradient).toBeDefined();
    }
  });

  test("has a lowering to ONNX and a float64 reference", () => {
    const computed = operationNames()
      .filter((name) => !sources.includes(name))
      .sort();
    expect(Object.keys(lowerings).sort()).toEqual(computed);
    expect(Object.keys(reference).sort()).toEqual(computed);
  });
});

describe("the gradient of", () => {
  test.each(Object.keys(gradientCases))(
    "%s is its derivative, and the engine computes both",
    async (name) => {
      const seeds = fc.integer({ min: 0, max: 2 ** 32 });
      await fc.assert(fc.asyncProperty(gradientCases[name]!, seeds, checkGradient), {
        numRuns: 20,
        seed: 20261123,
      });
    },
  );
});

test("stopGradient gives its input, and the backward pass takes it for a constant", () => {
  const y = multiply(x, stopGradient(x));
  const [dx] = gradients(reshape(sum(y), []), [x]);
  const values = { data: Float64Array.of(1, 2, 3, 4), shape: [2, 2] };
  const result = evaluateProgram(program({ y, dx: dx! }), { x: values });
  expect([...result.y!.data]).toEqual([1, 4, 9, 16]);
  expect([...result.dx!.data]).toEqual([1, 2, 3, 4]);
});

test("only crossEntropy's losses are differentiable", () => {
  const [hidden, weights] = [input("hidden", [3, 2]), input("weights", [3])];
  const { correct } = crossEntropy(hidden, x, input("targets", [3], "int32"), weights, {
    chunkRows: 2,
  });
  expect(() => gradients(reshape(sum(correct), []), [hidden])).toThrow(
    /only the losses are differentiable/,
  );
});
