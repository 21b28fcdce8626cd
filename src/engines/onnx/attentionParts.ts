import {
  type CausalAttentionOptions,
  type Dim,
  multiplyDims,
  type Node,
} from "../../graph/index.js";
import type { ModelBuilder } from "./builder.js";

type Attributes = Readonly<Record<keyof CausalAttentionOptions, number>>;

/** The sizes of one attention; H query heads are folded into K · group rows. */
export interface Heads extends Attributes {
  readonly batch: Dim;
  readonly keyHeads: number;
  readonly group: number;
  readonly length: Dim;
  readonly width: number;
}

export function headsOf({ inputs: [query, keys], attributes }: Node): Heads {
  const [batch, heads, length, width] = query!.shape as [Dim, number, Dim, number];
  const keyHeads = keys!.shape[1] as number;
  const options = attributes as unknown as Attributes;
  return { batch, keyHeads, group: heads / keyHeads, length, width, ...options };
}

/** Queries that are computed together, with the keys they may see: all of a row, or a block. */
export interface Part {
  /** Their part of something of the queries, as `[B, K, G·c, d]`. */
  queries(x: string): string;
  /** The keys' part of `[B, K, T, d]`. */
  keys(x: string): string;
  /** Added to the scores: `[B, 1, 1, c, keys]`. */
  readonly bias: string;
  /** `[B, K, G·c, keys]` as `[B, K, G, c, keys]`, and the way back. */
  perHead(scores: string): string;
  folded(scores: string): string;
}

/** All queries and keys of a row as one part. */
export function whole(model: ModelBuilder, heads: Heads, positions: string): Part {
  const { batch, keyHeads, group, length, width } = heads;
  const reshape = (x: string, shape: readonly Dim[]) =>
    model.emit("Reshape", [x, model.shape(shape)]);
  return {
    queries: (x) => model.emit("Reshape", [x, model.integers([0, keyHeads, -1, width])]),
    keys: (x) => x,
    bias: biasOf(model, heads, positions),
    perHead: (x) => reshape(x, [batch, keyHeads, group, length, length]),
    folded: (x) => reshape(x, [batch, keyHeads, multiplyDims(length, group), length]),
  };
}

/** Layers with the same view share it. */
function biasOf(model: ModelBuilder, { window, length }: Heads, positions: string): string {
  return model.shared(`attention bias of ${positions} in ${window}`, () => {
    const count = model.emit("Squeeze", [model.shape([length])]);
    const places = model.emit("Range", [model.integers(0), count, model.integers(1)]);
    return visibleBias(model, { window, positions, queries: places, keys: places });
  });
}

/** Vanishes after the softmax; a score added to it stays finite. */
const hidden = -1e30;

/**
 * 0 where a query may look and far below any score elsewhere, `[B, 1, 1, c, keys]`, from the places of
 * queries `[c]` and keys `[keys]` in their row and the queries' positions `[B, c]`.
 */
export function visibleBias(
  model: ModelBuilder,
  given: { window: number; positions: string; queries: string; keys: string },
): string {
  const { window, positions, queries, keys } = given;
  const emit = model.emit.bind(model);
  const reach = window > 0 ? emit("Min", [positions, model.integers(window - 1)]) : positions;
  const first = emit("Unsqueeze", [emit("Sub", [queries, reach]), model.integers([2])]);
  const visible = emit("And", [
    emit("LessOrEqual", [first, keys]),
    emit("LessOrEqual", [keys, emit("Unsqueeze", [queries, model.integers([1])])]),
  ]);
  const bias = emit("Where", [visible, model.floats(0), model.floats(hidden)]);
  return emit("Unsqueeze", [bias, model.integers([1, 2])]);
}
