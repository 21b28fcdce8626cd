import {
  add,
  addDims,
  concat,
  type Dim,
  lessOrEqual,
  matmul,
  multiplyDims,
  reshape,
  select,
  slice,
  softmax,
  type Tensor,
  toFloat32,
} from "../graph/index.js";
import { softCap } from "./softCap.js";

/** Of one layer, each `[B, K, S, d]`. */
export interface KeysAndValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Keys and values of earlier calls. */
export interface AttentionCache {
  /** A layer's keys and values of earlier calls; is given the new ones, to be kept. */
  readonly read: (layer: number, added: KeysAndValues) => KeysAndValues;
  /** int32 `[B, S]`, of the cached and then of the new; a place without a token has one that no query reaches. */
  readonly positions: Tensor;
}

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

/**
 * Attention of T queries `[B, H, T, d]` over the keys and values of all parts; result `[B, H, T, d]`.
 * Only scores are put together, so neither the cache nor what is added to it is copied. The query
 * heads of a group are folded into rows, so keys and values are never repeated.
 */
export function cachedAttention(
  query: Tensor,
  parts: readonly KeysAndValues[],
  options: { scale: number; softCap: number | undefined; bias: Tensor },
): Tensor {
  const [batch, numHeads, length, headDim] = query.shape as [Dim, number, Dim, number];
  const keyHeads = parts[0]!.keys.shape[1] as number;
  const group = numHeads / keyHeads;
  const rows = multiplyDims(length, group);
  const folded = reshape(query, [batch, keyHeads, rows, headDim]);
  const products = parts
    .map(({ keys }) => matmul(folded, keys, { transposeB: true, scale: options.scale }))
    .reduce((before, after) => concat(before, after, 3));
  const keyCount = products.shape[3]!;
  const scores = softCap(products, options.softCap);
  const perHead = reshape(scores, [batch, keyHeads, group, length, keyCount]);
  const probabilities = softmax(add(perHead, options.bias));
  const mixed = mix(reshape(probabilities, [batch, keyHeads, rows, keyCount]), parts);
  return reshape(mixed, query.shape);
}

/** Σ weight · value over the values of all parts. */
function mix(weights: Tensor, parts: readonly KeysAndValues[]): Tensor {
  let start: Dim = 0;
  return parts
    .map(({ values }) => {
      const count = values.shape[2]!;
      const own = slice(weights, 3, start, count);
      start = addDims(start, count);
      return matmul(own, values);
    })
    .reduce((a, b) => add(a, b));
}
