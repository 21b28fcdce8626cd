import {
  add,
  checkpointed,
  gatherRows,
  multiply,
  multiplyDims,
  reshape,
  type Tensor,
} from "../../graph/index.js";
import {
  type AttentionContext,
  type AttentionShape,
  type AttentionView,
  attention,
} from "../../nn/attention.js";
import { type EmbeddingNoise, withNoise } from "../../nn/embeddingNoise.js";
import { geglu } from "../../nn/geglu.js";
import { norm } from "../../nn/norm.js";
import type { GemmaConfig } from "./config.js";
import type { BlockWeights, GemmaWeights } from "./weights.js";

/** What the layers of one forward pass share. */
export interface ForwardContext extends Omit<AttentionContext, keyof AttentionView> {
  /** What each layer may look at; layers of one kind have the same tensors. */
  readonly views: readonly AttentionView[];
  /** Recompute each block's activations in the backward pass instead of keeping them. */
  readonly recompute: boolean;
  readonly noise?: EmbeddingNoise | undefined;
}

const attentionShape = (config: GemmaConfig): AttentionShape => ({
  numHeads: config.numHeads,
  numKeyValueHeads: config.numKeyValueHeads,
  headDim: config.headDim,
  scale: (config.queryScalar ?? config.headDim) ** -0.5,
  softCap: config.attentionSoftCap,
});

function decoderBlock(
  x: Tensor,
  w: BlockWeights,
  config: GemmaConfig,
  context: AttentionContext,
  layer: number,
): Tensor {
  const normed = norm(x, w.preAttention);
  const attended = attention(normed, w.attention, attentionShape(config), context, layer);
  const h = add(x, norm(attended, w.postAttention));
  return add(h, norm(geglu(norm(h, w.preFeedForward), w.feedForward), w.postFeedForward));
}

/** Hidden states after the final norm. ids int32 `[B, T]`, result `[B·T, D]`. */
export function gemmaBackbone(
  ids: Tensor,
  w: GemmaWeights,
  config: GemmaConfig,
  context: ForwardContext,
): Tensor {
  const tokens = multiplyDims(context.batch, context.length);
  const embedded = withNoise(gatherRows(w.embedding, reshape(ids, [tokens])), context.noise);
  let x = multiply(embedded, Math.sqrt(config.hiddenSize));
  w.blocks.forEach((block, layer) => {
    const layerContext = { ...context, ...context.views[layer]! };
    const build = () => decoderBlock(x, block, config, layerContext, layer);
    x = context.recompute ? checkpointed(build) : build();
  });
  return norm(x, w.finalNorm);
}
