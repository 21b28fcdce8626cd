import {
  causalAttention,
  type Dim,
  multiplyDims,
  type RopeTable,
  reshape,
  rope,
  type Tensor,
  transpose,
} from "../graph/index.js";
import { type AttentionCache, cachedAttention, causalBias } from "./cachedAttention.js";
import { type Linear, linear } from "./linear.js";
import { type Norm, norm } from "./norm.js";

export interface AttentionWeights {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  /** Norms of each query and key head, before their rotation; `[headDim]` scales. */
  readonly queryNorm?: Norm | undefined;
  readonly keyNorm?: Norm | undefined;
}

export interface AttentionShape {
  readonly numHeads: number;
  /** Fewer than `numHeads` for grouped-query attention, 1 for multi-query attention. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  /** Factor on query · key. */
  readonly scale: number;
  /** Bound that the scaled scores approach, by a tanh, before the bias is added. Absent: none. */
  readonly softCap?: number | undefined;
}

/** How far a layer looks back, and how it tells positions apart. */
export interface AttentionView {
  /** How many keys a query sees at most, its own included. Absent: all before it. */
  readonly window?: number | undefined;
  readonly rope: RopeTable;
}

/** What attention is given besides its input and weights. */
export interface AttentionContext extends AttentionView {
  readonly batch: Dim;
  /** New tokens in each row. */
  readonly length: Dim;
  /** int32 `[batch, length]`, counted from the start of each text; texts in one row are apart. */
  readonly positions: Tensor;
  /** Queries computed at a time, of new tokens that see each other only. Absent: all. */
  readonly blockQueries?: number | undefined;
  /** Absent: the tokens see each other only. */
  readonly cache?: AttentionCache | undefined;
}

/** Causal self-attention with rotary positions. x `[B·T, D]`, result `[B·T, D]`. */
export function attention(
  x: Tensor,
  w: AttentionWeights,
  shape: AttentionShape,
  context: AttentionContext,
  layer: number,
): Tensor {
  const { batch, length, positions, cache, window, blockQueries } = context;
  const { numHeads, numKeyValueHeads, headDim } = shape;

  const heads = (y: Tensor, count: number) =>
    transpose(reshape(y, [batch, length, count, headDim]), [0, 2, 1, 3]);
  const queryHeads = norm(heads(linear(x, w.query), numHeads), w.queryNorm);
  const keyHeads = norm(heads(linear(x, w.key), numKeyValueHeads), w.keyNorm);
  const query = rope(queryHeads, positions, context.rope);
  const keys = rope(keyHeads, positions, context.rope);
  const values = heads(linear(x, w.value), numKeyValueHeads);

  const options = { scale: shape.scale, softCap: shape.softCap, window };
  const mixed =
    cache === undefined
      ? causalAttention(query, keys, values, positions, { ...options, blockQueries })
      : cachedAttention(query, [cache.read(layer, { keys, values }), { keys, values }], {
          ...options,
          bias: causalBias(positions, cache.positions, window),
        });
  const merged = transpose(mixed, [0, 2, 1, 3]);
  const tokens = multiplyDims(batch, length);
  return linear(reshape(merged, [tokens, numHeads * headDim]), w.output);
}
