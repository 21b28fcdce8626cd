import type { CausalAttentionOptions, Dim, Node } from "../../graph/index.js";
import { type ModelBuilder, microsoft } from "./builder.js";
import { type Chunks, chunks } from "./chunks.js";
import type { Lowering } from "./lowering.js";
import { elementType, type Subgraph, valueInfo } from "./values.js";

/** Vanishes after the softmax; a score added to it stays finite. */
const hidden = -1e30;
const { float32: float, int32: integer, bool } = elementType;

type Attributes = Readonly<Record<keyof CausalAttentionOptions, number>>;

/** The sizes of one attention; H query heads are folded into K · group rows. */
interface Heads extends Attributes {
  readonly batch: Dim;
  readonly keyHeads: number;
  readonly group: number;
  readonly length: Dim;
  readonly width: number;
}

function headsOf({ inputs: [query, keys], attributes }: Node): Heads {
  const [batch, heads, length, width] = query!.shape as [Dim, number, Dim, number];
  const keyHeads = keys!.shape[1] as number;
  const options = attributes as unknown as Attributes;
  return { batch, keyHeads, group: heads / keyHeads, length, width, ...options };
}

/** causalAttention as an ONNX Loop over blocks of queries, each with the keys up to its last query. */
export const lowerCausalAttention: Lowering = ({ node, inputs, outputs, model }) => {
  const heads = headsOf(node);
  const [query, keys, values, positions] = inputs as [string, string, string, string];
  const blocks = chunks(model, heads.length, heads.blockQueries);
  const outer = outside(model, heads, blocks, positions);
  const queries = inBlocks(model, heads, blocks, query);
  const body = loopBody(model, 0, (iteration) => {
    const block = blockOf(model, heads, blocks, outer, iteration);
    const { probabilities } = softmaxOfBlock(model, heads, blocks, block, {
      query: block.of(queries),
      keys: block.seen(keys),
    });
    const mixed = model.emit("MatMul", [probabilities, block.seen(values)]);
    return { scanned: [block.unfold(mixed)], carried: [] };
  });
  const scanned = model.fresh();
  model.emit("Loop", [blocks.count, ""], { body }, { outputs: [scanned] });
  outOfBlocks(model, heads, scanned, outputs[0]!);
};

/** Its gradient: the probabilities of each block once more, then the chain rule. */
export const lowerCausalAttentionGradient: Lowering = ({ node, inputs, outputs, used, model }) => {
  const heads = headsOf(node);
  const [query, keys, values, positions, result, resultGradient] = inputs as string[];
  const blocks = chunks(model, heads.length, heads.blockQueries);
  const outer = outside(model, heads, blocks, positions!);
  const blocked = [query!, result!, resultGradient!].map((x) => inBlocks(model, heads, blocks, x));
  const { scale, softCap } = heads;
  const sums = [1, 2].filter((output) => used[output]);
  const body = loopBody(model, sums.length, (iteration, carried) => {
    const block = blockOf(model, heads, blocks, outer, iteration);
    const [q, o, dO] = blocked.map((x) => block.of(x)) as [string, string, string];
    const [k, v] = [block.seen(keys!), block.seen(values!)];
    const { probabilities: p, ratio } = softmaxOfBlock(model, heads, blocks, block, {
      query: q,
      keys: k,
    });
    const product = (
      a: string,
      b: string,
      attributes: Record<string, number | { float: number }>,
    ) => model.emit("FusedMatMul", [a, b], attributes, { domain: microsoft });
    const alpha = { float: scale };
    const dP = product(dO, v, { transB: 1 });
    // Σ p · dP over the keys is Σ o · dO over the head.
    const along = model.emit("ReduceSum", [model.emit("Mul", [o, dO]), model.integers([-1])], {
      keepdims: 1,
    });
    const dCapped = model.emit("Mul", [p, model.emit("Sub", [dP, along])]);
    // Through the soft-cap, ∂capped/∂score = 1 − tanh².
    const slope = () => model.emit("Sub", [model.floats(1), model.emit("Mul", [ratio!, ratio!])]);
    const dS = softCap > 0 ? model.emit("Mul", [dCapped, slope()]) : dCapped;
    const part = (output: number) =>
      output === 1 ? product(dS, q, { transA: 1, alpha }) : product(p, dO, { transA: 1 });
    return {
      scanned: [block.unfold(product(dS, k, { alpha }))],
      carried: sums.map((output, i) =>
        model.emit("Add", [carried[i]!, block.amongAll(part(output))]),
      ),
    };
  });
  const zeros = () => model.emit("ConstantOfShape", [model.shape(node.inputs[1]!.shape)]);
  const scanned = model.fresh();
  const loopOutputs = [...sums.map((output) => outputs[output]!), scanned];
  const start = sums.map(zeros);
  model.emit("Loop", [blocks.count, "", ...start], { body }, { outputs: loopOutputs });
  outOfBlocks(model, heads, scanned, outputs[0]!);
};

/** What all blocks share: the places of all keys, of a block's queries, and the queries' positions. */
interface Outside {
  readonly places: string;
  readonly offsets: string;
  /** `[n, B, c]`. */
  readonly positions: string;
  /** The length, a scalar. */
  readonly length: string;
}

function outside(model: ModelBuilder, { batch, length }: Heads, blocks: Chunks, positions: string) {
  const whole = model.emit("Squeeze", [model.shape([length])]);
  const range = (end: string) => model.emit("Range", [model.integers(0), end, model.integers(1)]);
  const padded = model.emit("Pad", [positions, blocks.pads(1, 2)]);
  const rows = model.emit("Reshape", [padded, blocks.shape([batch], [])]);
  return {
    places: range(whole),
    offsets: range(blocks.size),
    positions: model.emit("Transpose", [rows], { perm: [1, 0, 2] }),
    length: whole,
  };
}

/** `[B, H, T, d]` as `[n, B, K, G, c, d]`. */
function inBlocks(model: ModelBuilder, heads: Heads, blocks: Chunks, x: string): string {
  const { batch, keyHeads, group, width } = heads;
  const padded = model.emit("Pad", [x, blocks.pads(2, 4)]);
  const shape = blocks.shape([batch, keyHeads, group], [width]);
  return model.emit("Transpose", [model.emit("Reshape", [padded, shape])], {
    perm: [3, 0, 1, 2, 4, 5],
  });
}

/** The way back; the blocks' padding stands at the end of each head. */
function outOfBlocks(model: ModelBuilder, heads: Heads, x: string, output: string): void {
  const { keyHeads, group, width, length } = heads;
  const rows = model.emit("Transpose", [x], { perm: [1, 2, 3, 0, 4, 5] });
  const padded = model.emit("Reshape", [rows, model.integers([0, keyHeads * group, -1, width])]);
  const slice = [padded, model.integers([0]), model.shape([length]), model.integers([2])];
  model.emit("Slice", slice, {}, { outputs: [output] });
}

/** One block: which keys it sees, and how to take its part of something. */
interface Block {
  /** Its part, `[B, K, G·c, d]`, of something in blocks. */
  of(x: string): string;
  /** The keys' part of `[B, K, T, d]` that it sees. */
  seen(x: string): string;
  /** Something of the seen keys among zeros for all keys. */
  amongAll(x: string): string;
  /** `[B, K, G·c, d]` as `[B, K, G, c, d]`. */
  unfold(x: string): string;
  /** Added to the scores: `[B, 1, 1, c, keys]`. */
  readonly bias: string;
}

function blockOf(
  model: ModelBuilder,
  { group, width, window }: Heads,
  blocks: Chunks,
  outer: Outside,
  iteration: string,
): Block {
  const emit = model.emit.bind(model);
  const zero = model.integers([0]);
  const from = emit("Reshape", [emit("Mul", [iteration, blocks.size]), model.integers([1])]);
  const to = emit("Min", [emit("Add", [from, blocks.size]), outer.length]);
  const first =
    window > 0 ? emit("Max", [emit("Sub", [from, model.integers(window - 1)]), zero]) : zero;
  const seen = (x: string, axis: number) => emit("Slice", [x, first, to, model.integers([axis])]);

  const queries = emit("Add", [outer.offsets, from]);
  const positions = emit("Gather", [outer.positions, iteration], { axis: 0 });
  const reach = window > 0 ? emit("Min", [positions, model.integers(window - 1)]) : positions;
  const start = emit("Unsqueeze", [emit("Sub", [queries, reach]), model.integers([2])]);
  const keys = seen(outer.places, 0);
  const visible = emit("And", [
    emit("LessOrEqual", [start, keys]),
    emit("LessOrEqual", [keys, emit("Unsqueeze", [queries, model.integers([1])])]),
  ]);
  const bias = emit("Where", [visible, model.floats(0), model.floats(hidden)]);
  const behind = () => emit("Sub", [outer.length, to]);
  return {
    of: (x) =>
      emit("Reshape", [
        emit("Gather", [x, iteration], { axis: 0 }),
        model.integers([0, 0, -1, width]),
      ]),
    seen: (x) => seen(x, 2),
    amongAll: (x) => {
      const none = model.integers([0, 0]);
      const pads = emit("Concat", [none, first, zero, none, behind(), zero], { axis: 0 });
      return emit("Pad", [x, pads]);
    },
    unfold: (x) => emit("Reshape", [x, model.integers([0, 0, group, -1, width])]),
    bias: emit("Unsqueeze", [bias, model.integers([1, 2])]),
  };
}

/** The probabilities of a block, `[B, K, G·c, keys]`, and the tanh of its soft-cap, if it has one. */
function softmaxOfBlock(
  model: ModelBuilder,
  { group, scale, softCap }: Heads,
  blocks: Chunks,
  block: Block,
  { query, keys }: { query: string; keys: string },
): { probabilities: string; ratio: string | undefined } {
  const attributes = { transB: 1, alpha: { float: scale } };
  const raw = model.emit("FusedMatMul", [query, keys], attributes, { domain: microsoft });
  const ratio =
    softCap > 0 ? model.emit("Tanh", [model.emit("Div", [raw, model.floats(softCap)])]) : undefined;
  const scores = ratio === undefined ? raw : model.emit("Mul", [ratio, model.floats(softCap)]);
  const perHead = model.emit("Reshape", [scores, blocks.part([0, 0, group], 1, [-1])]);
  const p = model.emit("Softmax", [model.emit("Add", [perHead, block.bias])], { axis: -1 });
  const probabilities = model.emit("Reshape", [p, blocks.part([0, 0], group, [-1])]);
  return { probabilities, ratio };
}

function loopBody(
  model: ModelBuilder,
  carriedCount: number,
  build: (
    iteration: string,
    carried: readonly string[],
  ) => { readonly scanned: readonly string[]; readonly carried: readonly string[] },
): Subgraph {
  const [iteration, going] = [model.fresh(), model.fresh()];
  const before = Array.from({ length: carriedCount }, () => model.fresh());
  const inputs = [
    valueInfo(iteration, [], integer),
    valueInfo(going, [], bool),
    ...before.map((name) => valueInfo(name, undefined, float)),
  ];
  return model.subgraph(inputs, () => {
    const { scanned, carried } = build(iteration, before);
    const stillGoing = model.emit("Identity", [going]);
    return [
      valueInfo(stillGoing, [], bool),
      ...[...carried, ...scanned].map((name) => valueInfo(name, undefined, float)),
    ];
  });
}
