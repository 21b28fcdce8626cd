import { type Dim, elementCount, multiplyDims, sameShape } from "./dim.js";
import { apply, apply1, expectFloat, type Node, type Operation, type Tensor } from "./tensor.js";

export interface CausalAttentionOptions {
  /** Factor on query · key. */
  readonly scale: number;
  /** Bound that the scaled scores approach, by a tanh. Absent: none. */
  readonly softCap?: number | undefined;
  /** How many keys a query sees at most, its own included. Absent: all. */
  readonly window?: number | undefined;
  /** Queries computed at a time. Absent: all, and all pairs of a layer exist for a moment. */
  readonly blockQueries?: number | undefined;
}

function expectHeads([query, keys, values, positions]: readonly Tensor[]): void {
  expectFloat(query!, keys!, values!);
  const [batch, heads, length, width] = query!.shape;
  const [, keyHeads] = keys!.shape;
  const fits =
    query!.shape.length === 4 &&
    sameShape(keys!.shape, [batch!, keyHeads!, length!, width!]) &&
    sameShape(values!.shape, keys!.shape) &&
    (heads as number) % (keyHeads as number) === 0;
  if (!fits)
    throw new Error("needs query [B, H, T, d], keys and values [B, K, T, d], K dividing H");
  if (positions!.dtype !== "int32" || !sameShape(positions!.shape, [batch!, length!])) {
    throw new Error("needs positions int32 [B, T]");
  }
}

/** Of one product of queries and keys, all pairs counted: an engine may leave out those that are masked. */
const productFlops = ({ inputs: [query] }: Node): Dim =>
  multiplyDims(2, multiplyDims(elementCount(query!.shape), query!.shape[2]!));

const causalAttentionOperation: Operation = {
  name: "causalAttention",
  infer: (inputs) => {
    expectHeads(inputs);
    return [{ shape: inputs[0]!.shape, dtype: "float32" }];
  },
  gradient: ({ inputs, outputs, outputGradients, attributes }) => {
    const given = [...inputs, outputs[0]!, outputGradients[0]!];
    const [query, keys, values] = apply(causalAttentionGradientOperation, given, { ...attributes });
    return [query, keys, values, undefined];
  },
  // Scores, and the mix of the values.
  flops: (node) => multiplyDims(2, productFlops(node)),
};

const causalAttentionGradientOperation: Operation = {
  name: "causalAttentionGradient",
  infer: (inputs) => {
    expectHeads(inputs);
    const [query, keys, values] = inputs as [Tensor, Tensor, Tensor];
    for (const given of inputs.slice(4)) {
      if (!sameShape(given.shape, query.shape)) throw new Error("a gradient like the query");
    }
    return [query, keys, values].map(({ shape }) => ({ shape, dtype: "float32" as const }));
  },
  // The scores once more, then the gradients of probabilities, values, queries and keys.
  flops: (node) => multiplyDims(5, productFlops(node)),
};

/**
 * softmax(soft-cap(scale · q kᵀ)) v, each query over the keys that it may see. No probabilities are
 * kept for the gradient, which computes them again; with `blockQueries` the scores of all pairs never
 * exist (Dao et al. 2022, arXiv:2205.14135; Rabe and Staats 2021, arXiv:2112.05682).
 *
 * query `[B, H, T, d]`, keys and values `[B, K, T, d]`, shared by the H / K query heads of a group;
 * positions int32 `[B, T]` count from the start of each token's text: the query at place i sees the
 * keys at places i − min(position, window − 1) to i, so texts that follow each other in one row are
 * apart. Result `[B, H, T, d]`.
 */
export const causalAttention = (
  query: Tensor,
  keys: Tensor,
  values: Tensor,
  positions: Tensor,
  { scale, softCap = 0, window = 0, blockQueries = 0 }: CausalAttentionOptions,
): Tensor =>
  apply1(causalAttentionOperation, [query, keys, values, positions], {
    scale,
    softCap,
    window,
    blockQueries,
  });
