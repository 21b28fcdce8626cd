import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  constant,
  exp,
  gelu,
  input,
  log,
  matmul,
  multiply,
  negate,
  type Program,
  program,
  reshape,
  rmsNorm,
  softmax,
  sum,
  symbol,
  type Tensor,
} from "../../src/graph/index.js";
import { evaluateProgram, toArray64 } from "./referenceEngine.js";

const names = (p: Program) => p.nodes.map((node) => node.operation.name);
const computed = (p: Program) =>
  names(p)
    .filter((n) => n !== "input" && n !== "constant")
    .sort();

describe("program", () => {
  const x = input("x", [symbol("B"), 4]);

  test("keeps only what the outputs need", () => {
    const unused = exp(multiply(x, input("unused", [4])));
    const p = program({ y: negate(x) });
    expect(names(p)).toEqual(["input", "negate"]);
    expect([...p.inputs.keys()]).toEqual(["x"]);
    expect(names(program({ y: negate(x), unused }))).toContain("exp");
  });

  test("computes equal nodes once, through chains of them", () => {
    const chain = () => exp(negate(add(input("x", [symbol("B"), 4]), 1)));
    const p = program({ y: add(chain(), chain()) });
    expect(computed(p)).toEqual(["add", "add", "exp", "negate"]);
    const [left, right] = p.outputs.get("y")!.node.inputs;
    expect(left).toBe(right);
  });

  test("does not merge nodes that differ in operation, operands, order or attributes", () => {
    const w = input("w", [4, 4]);
    const p = program({
      a: sum(x, [0]),
      b: sum(x, [1]),
      c: matmul(x, w),
      d: matmul(x, w, { transposeB: true }),
      e: matmul(x, w, { scale: 0.5 }),
      f: add(x, 1),
      g: add(x, 2),
      h: add(1, x),
      i: reshape(x, [4, symbol("B")]),
      j: reshape(x, [symbol("B"), 2, 2]),
      k: rmsNorm(x, constant(new Float32Array(4), [4]), 1e-6),
      l: rmsNorm(x, constant(new Float32Array(4), [4]), 1e-5),
    });
    expect(new Set(p.outputs.values()).size).toBe(12);
  });

  test("merges equal constants, however they are made, but not 0 and -0", () => {
    const merged = program({ y: add(multiply(x, 2), constant(Float32Array.of(2))) });
    expect(names(merged).filter((name) => name === "constant")).toHaveLength(1);
    const signs = program({ y: add(multiply(x, 0), multiply(x, -0)) });
    expect(names(signs).filter((name) => name === "constant")).toHaveLength(2);
    const int = constant(Int32Array.of(1));
    const float = constant(Float32Array.of(1));
    expect(new Set(program({ int, float }).outputs.values()).size).toBe(2);
  });

  test("nodes come after what they use, and inputs by their names", () => {
    const p = program({ y: add(softmax(x), gelu(multiply(x, input("w", [4])))) });
    p.nodes.forEach((node, place) => {
      for (const { node: used } of node.inputs) expect(p.nodes.indexOf(used)).toBeLessThan(place);
    });
    expect([...p.inputs.keys()].sort()).toEqual(["w", "x"]);
  });

  test("one input may be asked for twice, but one name is one input", () => {
    expect(program({ y: add(input("a", [2]), input("a", [2])) }).inputs.size).toBe(1);
    expect(() => program({ y: add(input("a", [2]), input("a", [1])) })).toThrow(
      "two different inputs are named a",
    );
  });

  test("building it changes no value", () => {
    const unary = fc.constantFrom(exp, negate, gelu, softmax, (t: Tensor) => log(add(exp(t), 1)));
    const steps = fc.array(fc.tuple(unary, fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        steps,
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
        (chain, values) => {
          // Each step applies f to the sum of two earlier tensors, often the same ones.
          const build = () => {
            const made: Tensor[] = [input("v", [4])];
            for (const [f, i, j] of chain) {
              made.push(f(multiply(add(made[i % made.length]!, made[j % made.length]!), 0.5)));
            }
            return made.at(-1)!;
          };
          const twice = program({ once: build(), again: build() });
          expect(twice.outputs.get("once")).toBe(twice.outputs.get("again"));
          const y = build();
          const whole = {
            nodes: everyNode(y),
            inputs: program({ y }).inputs,
            outputs: new Map([["y", y]]),
            activations: "float32" as const,
          };
          const v = toArray64({ data: values, shape: [4] });
          expect(evaluateProgram(twice, { v }).once!.data).toEqual(
            evaluateProgram(whole, { v }).y!.data,
          );
        },
      ),
    );
  });
});

/** All nodes before a tensor, repeated ones included: what the program would be without its passes. */
function everyNode(tensor: Tensor): Tensor["node"][] {
  const seen = new Set<Tensor["node"]>();
  const visit = (node: Tensor["node"]) => {
    if (seen.has(node)) return;
    for (const { node: used } of node.inputs) visit(used);
    seen.add(node);
  };
  visit(tensor.node);
  return [...seen];
}
