import {
  add,
  checkpointed,
  gatherRows,
  multiply,
  multiplyDims,
  reshape,
  rmsNorm,
  type Tensor,
  toFloat32,
} from "../../graph/index.js";
import { type AttentionContext, type AttentionShape, attention } from "../../nn/attention.js";
import { geglu } from "../../nn/geglu.js";
import type { GemmaConfig } from "./config.js";
import type { BlockWeights, GemmaWeights } from "./weights.js";

export interface ForwardContext extends AttentionContext {
  /** Recompute each block's activations in the backward pass instead of keeping them. */
  readonly recompute: boolean;
}

const attentionShape = (config: GemmaConfig): AttentionShape => ({
  numHeads: config.numHeads,
  numKeyValueHeads: config.numKeyValueHeads,
  headDim: config.headDim,
  scale: config.headDim ** -0.5,
});

/** Gemma's norm scales by 1 + weight. */
const norm = (x: Tensor, weight: Tensor, config: GemmaConfig): Tensor =>
  rmsNorm(x, add(1, toFloat32(weight)), config.rmsNormEps);

export function decoderBlock(
  x: Tensor,
  w: BlockWeights,
  config: GemmaConfig,
  context: ForwardContext,
  layer: number,
): Tensor {
  const normed = norm(x, w.preAttention, config);
  const h = add(x, attention(normed, w.attention, attentionShape(config), context, layer));
  return add(h, geglu(norm(h, w.preFeedForward, config), w.feedForward));
}

/** Hidden states after the final norm. ids int32 `[B, T]`, result `[B·T, D]`. */
export function gemmaBackbone(
  ids: Tensor,
  w: GemmaWeights,
  config: GemmaConfig,
  context: ForwardContext,
): Tensor {
  const tokens = multiplyDims(context.batch, context.length);
  let x = multiply(gatherRows(w.embedding, reshape(ids, [tokens])), Math.sqrt(config.hiddenSize));
  w.blocks.forEach((block, layer) => {
    const build = () => decoderBlock(x, block, config, context, layer);
    x = context.recompute ? checkpointed(build) : build();
  });
  return norm(x, w.finalNorm, config);
}
