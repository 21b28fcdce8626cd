import { add, type Tensor, toFloat32 } from "../../graph/index.js";
import type { AttentionWeights } from "../../nn/attention.js";
import type { GegluWeights } from "../../nn/geglu.js";
import type { Adaptation, Linear, LinearModule } from "../../nn/linear.js";
import type { Norm } from "../../nn/norm.js";
import type { GemmaConfig } from "./config.js";
import { familyOf } from "./family.js";
import { kerasLayerIndex } from "./kerasLayerIndex.js";

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
  readonly preAttention: Norm;
  readonly attention: AttentionWeights;
  readonly postAttention: Norm | undefined;
  readonly preFeedForward: Norm;
  readonly feedForward: GegluWeights;
  readonly postFeedForward: Norm | undefined;
}

export interface GemmaWeights {
  /** `[V, D]`: the input embedding and the output head. */
  readonly embedding: Tensor;
  readonly blocks: readonly BlockWeights[];
  readonly finalNorm: Norm;
}

/** Where a checkpoint has the text model. */
const modelPath = (config: GemmaConfig) => config.textPath ?? "model";
const blockPath = (config: GemmaConfig, layer: number) => `${modelPath(config)}.layers.${layer}`;
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
    const path = `${blockPath(config, layer)}.${parent(target)}.${target}`;
    const kerasIndex = kerasLayerIndex(familyOf(config), layer, target);
    return { path, target, inFeatures, outFeatures, heads, headsOf, layer, kerasIndex };
  });
}

/** Every linear layer of the model. */
export const gemmaModules = (config: GemmaConfig): LinearModule[] =>
  Array.from({ length: config.numLayers }, (_, layer) => blockModules(config, layer)).flat();

/** Every tensor that a checkpoint of this model holds. */
export function gemmaWeightSpecs(config: GemmaConfig): WeightSpec[] {
  const { norms, headNorms } = familyOf(config);
  const norm = (path: string, size = config.hiddenSize) => ({
    name: `${path}.weight`,
    shape: [size],
  });
  const blocks = Array.from({ length: config.numLayers }, (_, layer) => {
    const { preAttention, ...otherNorms } = norms;
    const path = (name: string) => `${blockPath(config, layer)}.${name}`;
    return [
      norm(path(preAttention)),
      ...blockModules(config, layer).map((module) => ({
        name: `${module.path}.weight`,
        shape: [module.outFeatures, module.inFeatures],
      })),
      ...Object.values(otherNorms).map((name) => norm(path(name))),
      ...Object.values(headNorms ?? {}).map((name) => norm(path(name), config.headDim)),
    ];
  });
  const embedding = [config.vocabularySize, config.hiddenSize];
  return [
    { name: `${modelPath(config)}.embed_tokens.weight`, shape: embedding },
    ...blocks.flat(),
    norm(`${modelPath(config)}.norm`),
  ];
}

/** Arranges a model's tensors for the forward pass; `adapt` gives what an adapter does to a module, if anything. */
export function gemmaWeights(
  config: GemmaConfig,
  tensor: (name: string) => Tensor,
  adapt: (module: string) => Adaptation | undefined,
): GemmaWeights {
  const { norms, headNorms } = familyOf(config);
  /** Gemma's norms scale by 1 + weight. */
  const norm = (path: string): Norm => ({
    scale: add(1, toFloat32(tensor(`${path}.weight`))),
    epsilon: config.rmsNormEps,
  });
  const blocks = Array.from({ length: config.numLayers }, (_, layer): BlockWeights => {
    const block = blockPath(config, layer);
    const normIfAny = (name: string | undefined) =>
      name === undefined ? undefined : norm(`${block}.${name}`);
    const module = (target: Target): Linear => {
      const path = `${block}.${parent(target)}.${target}`;
      return { weight: tensor(`${path}.weight`), adapt: adapt(path) };
    };
    return {
      preAttention: norm(`${block}.${norms.preAttention}`),
      attention: {
        query: module("q_proj"),
        key: module("k_proj"),
        value: module("v_proj"),
        output: module("o_proj"),
        queryNorm: normIfAny(headNorms?.query),
        keyNorm: normIfAny(headNorms?.key),
      },
      postAttention: normIfAny(norms.postAttention),
      preFeedForward: norm(`${block}.${norms.preFeedForward}`),
      feedForward: { gate: module("gate_proj"), up: module("up_proj"), down: module("down_proj") },
      postFeedForward: normIfAny(norms.postFeedForward),
    };
  });
  return {
    embedding: tensor(`${modelPath(config)}.embed_tokens.weight`),
    blocks,
    finalNorm: norm(`${modelPath(config)}.norm`),
  };
}
