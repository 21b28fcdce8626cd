import {
  add,
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

/** Which keys a layer may look at, and how it tells positions apart. */
export interface AttentionView {
  /** Added to the scores: `[batch, 1, 1, length, keys]`, 0 where a query may look. */
  readonly bias: Tensor;
  readonly rope: RopeTable;
}

/** What attention is given besides its input and weights. */
export interface AttentionContext extends AttentionView {
  readonly batch: Dim;
  /** New tokens in each row. */
  readonly length: Dim;
  /** int32 `[batch, length]`. */
  readonly positions: Tensor;
  /** Puts a layer's new keys and values (`[batch, kvHeads, length, headDim]`) behind cached ones. */
  readonly extend?: (
    layer: number,
    keys: Tensor,
    values: Tensor,
  ) => { keys: Tensor; values: Tensor };
}

/** Where several sequences share a row: which of them each query and each key belongs to, int32 `[B, T]` and `[B, S]`. */
export interface Segments {
  readonly queries: Tensor;
  readonly keys: Tensor;
}

/** Large enough to vanish after the softmax, small enough that a score added to it stays finite. */
const hidden = -1e30;

/**
 * The bias of causal attention: a query sees the keys at its own position and before; with a window,
 * the key at position j only while i − j < window.
 * queryPositions int32 `[B, T]`, keyPositions int32 `[B, S]`; a padded key has a position that no
 * query reaches. With segments a query sees no key of another segment than its own. Result `[B, 1, 1, T, S]`.
 */
export function causalBias(
  queryPositions: Tensor,
  keyPositions: Tensor,
  window?: number,
  segments?: Segments,
): Tensor {
  const ofQuery = (y: Tensor) => reshape(y, [y.shape[0]!, 1, 1, y.shape[1]!, 1]);
  const ofKey = (y: Tensor) => reshape(y, [y.shape[0]!, 1, 1, 1, y.shape[1]!]);
  if (segments !== undefined) {
    const [query, key] = [ofQuery(segments.queries), ofKey(segments.keys)];
    const inside = causalBias(queryPositions, keyPositions, window);
    const same = select(lessOrEqual(query, key), inside, hidden);
    return select(lessOrEqual(key, query), same, hidden);
  }
  const [query, key] = [ofQuery(queryPositions), ofKey(keyPositions)];
  if (window === undefined) return select(lessOrEqual(key, query), 0, hidden);
  // In float32, where every position of a sequence is exact.
  const lastSeen = add(toFloat32(key), window - 1);
  const near = select(lessOrEqual(toFloat32(query), lastSeen), 0, hidden);
  return select(lessOrEqual(key, query), near, hidden);
}

/**
 * Causal self-attention with rotary positions. x `[B·T, D]`, result `[B·T, D]`.
 *
 * Keys and values are never repeated for grouped queries: the query heads of a group are folded
 * into rows, `[B, kvHeads, group·T, headDim]`.
 */
export function attention(
  x: Tensor,
  w: AttentionWeights,
  shape: AttentionShape,
  context: AttentionContext,
  layer: number,
): Tensor {
  const { batch, length, positions, bias } = context;
  const { numHeads, numKeyValueHeads, headDim } = shape;
  const group = numHeads / numKeyValueHeads;

  const heads = (y: Tensor, count: number) =>
    transpose(reshape(y, [batch, length, count, headDim]), [0, 2, 1, 3]);
  const queryHeads = norm(heads(linear(x, w.query), numHeads), w.queryNorm);
  const keyHeads = norm(heads(linear(x, w.key), numKeyValueHeads), w.keyNorm);
  const query = rope(queryHeads, positions, context.rope);
  const newKeys = rope(keyHeads, positions, context.rope);
  const newValues = heads(linear(x, w.value), numKeyValueHeads);
  const { keys, values } = context.extend?.(layer, newKeys, newValues) ?? {
    keys: newKeys,
    values: newValues,
  };

  const rows = multiplyDims(length, group);
  const folded = reshape(query, [batch, numKeyValueHeads, rows, headDim]);
  const products = matmul(folded, keys, { transposeB: true, scale: shape.scale });
  const scores = softCap(products, shape.softCap);
  const keyCount = keys.shape[2]!;
  const perHead = reshape(scores, [batch, numKeyValueHeads, group, length, keyCount]);
  const probabilities = softmax(add(perHead, bias));
  const mixed = matmul(reshape(probabilities, [batch, numKeyValueHeads, rows, keyCount]), values);
  const merged = transpose(reshape(mixed, [batch, numHeads, length, headDim]), [0, 2, 1, 3]);
  const tokens = multiplyDims(batch, length);
  return linear(reshape(merged, [tokens, numHeads * headDim]), w.output);
}
