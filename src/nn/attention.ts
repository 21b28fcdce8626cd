import {
  add,
  causalAttention,
  type Dim,
  lessOrEqual,
  matmul,
  multiplyDims,
  type RopeTable,
  reshape,
  rope,
  select,
  softmax,
  type Tensor,
  toFloat32,
  transpose,
} from "../graph/index.js";
import { type Linear, linear } from "./linear.js";
import { type Norm, norm } from "./norm.js";
import { softCap } from "./softCap.js";

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

/** Keys and values of earlier calls. */
export interface AttentionCache {
  /** Puts a layer's new keys and values (`[batch, kvHeads, length, headDim]`) behind the cached ones. */
  readonly extend: (
    layer: number,
    keys: Tensor,
    values: Tensor,
  ) => { keys: Tensor; values: Tensor };
  /** int32 `[batch, keys]`, of the cached and the new; a padded key has one that no query reaches. */
  readonly positions: Tensor;
}

/** What attention is given besides its input and weights. */
export interface AttentionContext extends AttentionView {
  readonly batch: Dim;
  /** New tokens in each row. */
  readonly length: Dim;
  /** int32 `[batch, length]`, counted from the start of each text; texts in one row are apart. */
  readonly positions: Tensor;
  /** Absent: the tokens see each other only. */
  readonly cache?: AttentionCache | undefined;
}

/** Queries of a block, measured: fewer leave out more of the masked pairs, more make larger products. */
export const blockQueries = 128;

/** Large enough to vanish after the softmax, small enough that a score added to it stays finite. */
const hidden = -1e30;

/**
 * The bias of attention over cached keys: a query sees the keys at its own position and before; with
 * a window, the key at position j only while i − j < window.
 * queryPositions int32 `[B, T]`, keyPositions int32 `[B, S]`; a padded key has a position that no
 * query reaches. Result `[B, 1, 1, T, S]`.
 */
export function causalBias(queryPositions: Tensor, keyPositions: Tensor, window?: number): Tensor {
  const [batch, length] = queryPositions.shape as [Dim, Dim];
  const query = reshape(queryPositions, [batch, 1, 1, length, 1]);
  const key = reshape(keyPositions, [batch, 1, 1, 1, keyPositions.shape[1]!]);
  if (window === undefined) return select(lessOrEqual(key, query), 0, hidden);
  // In float32, where every position of a sequence is exact.
  const lastSeen = add(toFloat32(key), window - 1);
  const near = select(lessOrEqual(toFloat32(query), lastSeen), 0, hidden);
  return select(lessOrEqual(key, query), near, hidden);
}

/** Causal self-attention with rotary positions. x `[B·T, D]`, result `[B·T, D]`. */
export function attention(
  x: Tensor,
  w: AttentionWeights,
  shape: AttentionShape,
  context: AttentionContext,
  layer: number,
): Tensor {
  const { batch, length, positions, cache, window } = context;
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
      : cachedAttention(query, cache.extend(layer, keys, values), {
          ...options,
          bias: causalBias(positions, cache.positions, window),
        });
  const merged = transpose(mixed, [0, 2, 1, 3]);
  const tokens = multiplyDims(batch, length);
  return linear(reshape(merged, [tokens, numHeads * headDim]), w.output);
}

/**
 * Attention of T queries `[B, H, T, d]` over S keys and values `[B, K, S, d]` of which some were
 * computed before; result `[B, H, T, d]`. The query heads of a group are folded into rows, so keys
 * and values are never repeated.
 */
function cachedAttention(
  query: Tensor,
  { keys, values }: { keys: Tensor; values: Tensor },
  options: { scale: number; softCap: number | undefined; bias: Tensor },
): Tensor {
  const [batch, numHeads, length, headDim] = query.shape as [Dim, number, Dim, number];
  const [keyHeads, keyCount] = [keys.shape[1] as number, keys.shape[2]!];
  const group = numHeads / keyHeads;
  const rows = multiplyDims(length, group);
  const folded = reshape(query, [batch, keyHeads, rows, headDim]);
  const products = matmul(folded, keys, { transposeB: true, scale: options.scale });
  const scores = softCap(products, options.softCap);
  const perHead = reshape(scores, [batch, keyHeads, group, length, keyCount]);
  const probabilities = softmax(add(perHead, options.bias));
  const mixed = matmul(reshape(probabilities, [batch, keyHeads, rows, keyCount]), values);
  return reshape(mixed, query.shape);
}
