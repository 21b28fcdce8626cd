import { describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import {
  add,
  checkpointed,
  gelu,
  gradients,
  input,
  matmul,
  multiply,
  type Node,
  type Program,
  program,
  reshape,
  softmax,
  sum,
  symbol,
  type Tensor,
} from "../../src/graph/index.js";
import { createRandom } from "../../src/random.js";
import { evaluateProgram, toArray64 } from "./referenceEngine.js";

const width = 4;
const layers = 3;
const B = symbol("B");

/** Residual blocks x + softmax(gelu(x W) V), each in a checkpoint or not. */
function blocks(recompute: boolean): { p: Program; forward: Set<Node>; boundaries: Tensor[] } {
  const parameters = Array.from({ length: layers }, (_, i) => [
    input(`w${i}`, [width, width]),
    input(`v${i}`, [width, width]),
  ]).flat();
  let x = multiply(input("x", [B, width]), 0.5);
  const boundaries = [x];
  for (let i = 0; i < layers; i++) {
    const build = () =>
      add(x, softmax(matmul(gelu(matmul(x, parameters[2 * i]!)), parameters[2 * i + 1]!)));
    x = recompute ? checkpointed(build) : build();
    boundaries.push(x);
  }
  const loss = reshape(sum(multiply(x, x)), []);
  const forward = new Set(program({ loss }).nodes);
  const slopes = gradients(loss, parameters);
  const named = parameters.map((p, i) => [`d${String(p.node.attributes.name)}`, slopes[i]!]);
  return { p: program({ loss, ...Object.fromEntries(named) }), forward, boundaries };
}

function values(): Record<string, { data: Float32Array; shape: number[] }> {
  const random = createRandom({ seed: 5, stream: "init" });
  const array = (...shape: number[]) => ({
    data: Float32Array.from({ length: shape[0]! * shape[1]! }, () => 2 * random.uniform() - 1),
    shape,
  });
  const names = [...blocks(false).p.inputs.keys()].filter((name) => name !== "x");
  return { x: array(5, width), ...Object.fromEntries(names.map((n) => [n, array(width, width)])) };
}

const count = (p: Program, name: string) =>
  p.nodes.filter((node) => node.operation.name === name).length;

describe("checkpointed", () => {
  test("gives the same gradients, bit for bit", async () => {
    const inputs = values();
    const [kept, recomputed] = await Promise.all(
      [false, true].map(async (recompute) => {
        const executable = await onnxEngine({ threads: 1 }).compile(blocks(recompute).p);
        const results = await executable.run(inputs);
        await executable.close();
        return results;
      }),
    );
    expect(Object.keys(recomputed!)).toHaveLength(1 + 2 * layers);
    expect(recomputed).toEqual(kept);
    const exact = Object.fromEntries(Object.entries(inputs).map(([n, v]) => [n, toArray64(v)]));
    expect(evaluateProgram(blocks(true).p, exact)).toEqual(evaluateProgram(blocks(false).p, exact));
  });

  test("really computes again: every operation of a block twice, behind a barrier per block", () => {
    const [kept, again] = [blocks(false).p, blocks(true).p];
    expect([count(kept, "gelu"), count(kept, "softmax"), count(kept, "barrier")]).toEqual([
      layers,
      layers,
      0,
    ]);
    expect(count(again, "gelu")).toBe(2 * layers);
    expect(count(again, "softmax")).toBe(2 * layers);
    expect(count(again, "barrier")).toBe(layers);
  });

  test("the backward pass uses no value from inside a block of the forward pass", () => {
    const { p, forward, boundaries } = blocks(true);
    const inside = new Set([...forward].filter((node) => node.block !== undefined));
    const backward = p.nodes.filter((node) => !forward.has(node));
    expect(inside.size).toBeGreaterThan(layers);
    for (const node of backward) {
      for (const tensor of node.inputs) {
        // What a block hands to the next one is kept; all else must not be alive any more.
        if (!boundaries.includes(tensor)) expect(inside).not.toContain(tensor.node);
      }
    }
  });

  test("recomputation waits for the gradient: its barrier depends on the block after it", () => {
    const { p, forward } = blocks(true);
    const barriers = p.nodes.filter((node) => node.operation.name === "barrier");
    for (const barrier of barriers) {
      const [kept, arrived] = barrier.inputs as [Tensor, Tensor];
      expect(forward.has(kept.node)).toBe(true);
      expect(forward.has(arrived.node)).toBe(false);
    }
  });

  test("inputs and constants made inside a block are not repeated", () => {
    const x = input("x", [B, width]);
    let w: Tensor | undefined;
    const y = checkpointed(() => {
      w = input("w", [width, width]);
      return add(x, gelu(multiply(matmul(x, w), 0.5)));
    });
    const loss = reshape(sum(y), []);
    const [dw] = gradients(loss, [w!]);
    const p = program({ loss, dw: dw! });
    expect([...p.inputs.keys()].sort()).toEqual(["w", "x"]);
    // Forward, again, and the gradient of w.
    expect(count(p, "matmul")).toBe(3);
  });
});
