import { describe, expect, test } from "vitest";
import { type Node, nodesBefore, type Program } from "../../src/graph/index.js";
import { emptyAdapter } from "../../src/lora/adapter.js";
import { trainableWeights } from "../../src/models/gemma/model.js";
import { type GemmaGraph, trainingProgram } from "../../src/models/gemma/programs.js";
import * as tiny from "../support/tinyGemma.js";

const options = { maxLength: 32, recompute: false };

/** A step with a LoRA adapter on one kind of layer, in the blocks given. */
function step(target: string, layers: readonly number[]): Program {
  const modules = tiny.modules.filter(({ layer }) => layers.includes(layer));
  const config = { rank: 2, alpha: 2, targets: [target], layout: "standard" } as const;
  return trainingProgram(tiny.graph(emptyAdapter(config, modules)), options);
}

/** The nodes that only gradients need. */
function backward(p: Program): Node[] {
  const forward = new Set(nodesBefore(p.outputs.get("loss")!, p.outputs.get("correct")!));
  return p.nodes.filter((node) => !forward.has(node));
}

const named = (nodes: readonly Node[], name: string) =>
  nodes.filter((node) => node.operation.name === name);

/** The places, in the order of the blocks, of the attentions that the backward pass reads. */
function blocksReached(p: Program): number[] {
  const attentions = named(p.nodes, "causalAttention");
  const read = new Set(backward(p).flatMap((node) => node.inputs.map((tensor) => tensor.node)));
  return attentions.flatMap((node, block) => (read.has(node) ? [block] : []));
}

describe("the backward pass computes nothing that nobody needs", () => {
  test("it stops at the lowest adapter: frozen blocks below have no gradients", () => {
    expect(blocksReached(step("q_proj", [0, 1, 2]))).toEqual([0, 1, 2]);
    expect(blocksReached(step("q_proj", [1]))).toEqual([1, 2]);
    expect(blocksReached(step("q_proj", [2]))).toEqual([2]);
    // Nothing of an attention layer is on the way from the loss to its own block's last product.
    expect(blocksReached(step("down_proj", [2]))).toEqual([]);
    expect(blocksReached(step("down_proj", [1]))).toEqual([2]);
  });

  test("every block saved is saved whole", () => {
    const sizes = [[0, 1, 2], [1, 2], [2]].map((layers) => backward(step("q_proj", layers)).length);
    expect(sizes[0]! - sizes[1]!).toBe(sizes[1]! - sizes[2]!);
    expect(sizes[0]! - sizes[1]!).toBeGreaterThan(20);
  });

  test("no frozen weight has a gradient: only the adapter's shapes and the activations are multiplied", () => {
    const rows = step("q_proj", [0, 1, 2]);
    const weights = new Set(named(rows.nodes, "weight").flatMap((node) => node.outputs));
    const shapes = [...weights].map(({ shape }) => shape.join());
    for (const node of named(backward(rows), "matmul")) {
      const [{ shape }] = node.outputs as [(typeof node.outputs)[0]];
      expect(shapes).not.toContain(shape.join());
    }
  });

  test("the embedding is scattered into only when it is trained", () => {
    // One scatter brings the rows with targets back among all tokens.
    expect(named(step("q_proj", [0]).nodes, "scatterAddRows")).toHaveLength(1);
    const trainable = trainableWeights(tiny.config);
    const model: GemmaGraph = {
      config: tiny.config,
      tensor: (name) => trainable.get(name)!,
      adapt: () => undefined,
      trainable,
    };
    expect(named(trainingProgram(model, options).nodes, "scatterAddRows")).toHaveLength(2);
  });

  test("recompute repeats each block's attention once, and only above the lowest adapter", () => {
    const count = (layers: number[], recompute: boolean) => {
      const modules = tiny.modules.filter(({ layer }) => layers.includes(layer));
      const config = { rank: 2, alpha: 2, targets: ["q_proj"], layout: "standard" } as const;
      const p = trainingProgram(tiny.graph(emptyAdapter(config, modules)), {
        ...options,
        recompute,
      });
      return named(p.nodes, "causalAttention").length;
    };
    expect(count([0, 1, 2], false)).toBe(3);
    expect(count([0, 1, 2], true)).toBe(6);
    expect(count([2], true)).toBe(4);
  });
});
