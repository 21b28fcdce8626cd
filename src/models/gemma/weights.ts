import type { Tensor } from "../../graph/index.js";
import type { AttentionWeights } from "../../nn/attention.js";
import type { GegluWeights } from "../../nn/geglu.js";
import type { Delta, Linear, LinearModule } from "../../nn/linear.js";
import type { GemmaConfig } from "./config.js";

/** One tensor of a checkpoint: its Hugging Face name and shape. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

export const targets = [
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
] as const;
export type Target = (typeof targets)[number];

export interface BlockWeights {
  readonly preAttention: Tensor;
  readonly attention: AttentionWeights;
  readonly preFeedForward: Tensor;
  readonly feedForward: GegluWeights;
}

export interface GemmaWeights {
  /** `[V, D]`: the input embedding and the output head. */
  readonly embedding: Tensor;
  readonly blocks: readonly BlockWeights[];
  readonly finalNorm: Tensor;
}

const blockPath = (layer: number) => `model.layers.${layer}`;
const parent = (target: Target) =>
  target === "gate_proj" || target === "up_proj" || target === "down_proj" ? "mlp" : "self_attn";

/** The linear layers of one block, in the order of the computation. */
function blockModules(config: GemmaConfig, layer: number): LinearModule[] {
  const { hiddenSize: d, intermediateSize: f, numHeads, numKeyValueHeads, headDim } = config;
  const sizes: Record<Target, [number, number, number]> = {
    q_proj: [d, numHeads * headDim, numHeads],
    k_proj: [d, numKeyValueHeads * headDim, numKeyValueHeads],
    v_proj: [d, numKeyValueHeads * headDim, numKeyValueHeads],
    o_proj: [numHeads * headDim, d, numHeads],
    gate_proj: [d, f, 1],
    up_proj: [d, f, 1],
    down_proj: [f, d, 1],
  };
  return targets.map((target) => {
    const [inFeatures, outFeatures, heads] = sizes[target];
    const headsOf = target === "o_proj" ? "input" : "output";
    const path = `${blockPath(layer)}.${parent(target)}.${target}`;
    return { path, target, inFeatures, outFeatures, heads, headsOf, layer };
  });
}

/** Every linear layer of the model. */
export const gemmaModules = (config: GemmaConfig): LinearModule[] =>
  Array.from({ length: config.numLayers }, (_, layer) => blockModules(config, layer)).flat();

/** Every tensor that a checkpoint of this model holds. */
export function gemmaWeightSpecs(config: GemmaConfig): WeightSpec[] {
  const norm = [config.hiddenSize];
  const blocks = Array.from({ length: config.numLayers }, (_, layer) => [
    { name: `${blockPath(layer)}.input_layernorm.weight`, shape: norm },
    ...blockModules(config, layer).map((module) => ({
      name: `${module.path}.weight`,
      shape: [module.outFeatures, module.inFeatures],
    })),
    // In Gemma 1 the norm of this name stands before the feed-forward layer.
    { name: `${blockPath(layer)}.post_attention_layernorm.weight`, shape: norm },
  ]);
  return [
    { name: "model.embed_tokens.weight", shape: [config.vocabularySize, config.hiddenSize] },
    ...blocks.flat(),
    { name: "model.norm.weight", shape: norm },
  ];
}

/** Arranges a model's tensors for the forward pass; `delta` gives the adapter of a module, if any. */
export function gemmaWeights(
  config: GemmaConfig,
  tensor: (name: string) => Tensor,
  delta: (module: string) => Delta | undefined,
): GemmaWeights {
  const blocks = Array.from({ length: config.numLayers }, (_, layer): BlockWeights => {
    const module = (target: Target): Linear => {
      const path = `${blockPath(layer)}.${parent(target)}.${target}`;
      return { weight: tensor(`${path}.weight`), delta: delta(path) };
    };
    return {
      preAttention: tensor(`${blockPath(layer)}.input_layernorm.weight`),
      attention: {
        query: module("q_proj"),
        key: module("k_proj"),
        value: module("v_proj"),
        output: module("o_proj"),
      },
      preFeedForward: tensor(`${blockPath(layer)}.post_attention_layernorm.weight`),
      feedForward: { gate: module("gate_proj"), up: module("up_proj"), down: module("down_proj") },
    };
  });
  return {
    embedding: tensor("model.embed_tokens.weight"),
    blocks,
    finalNorm: tensor("model.norm.weight"),
  };
}
