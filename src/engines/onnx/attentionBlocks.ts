import { type Heads, type Part, visibleBias } from "./attentionParts.js";
import type { ModelBuilder } from "./builder.js";
import { type Chunks, chunks } from "./chunks.js";
import { elementType, type Subgraph, valueInfo } from "./values.js";

const { float32: float, int32: integer, bool } = elementType;

/** Runs `compute` for each block of the queries `x`, and puts what it gives, `[B, K, G·c, d]`, together again. */
export function inBlocks(
  model: ModelBuilder,
  heads: Heads,
  positions: string,
  x: string,
  output: string,
  compute: (part: Part, x: string) => string,
): void {
  const results = { query: output, sums: [], sumShape: "" };
  inBlocksWithSums(model, heads, positions, [x], results, (part, [blocked]) => ({
    query: compute(part, blocked!),
    sums: [],
  }));
}

/** The same for several, and for sums over all blocks, each a block's part for the keys that it sees. */
export function inBlocksWithSums(
  model: ModelBuilder,
  heads: Heads,
  positions: string,
  given: readonly string[],
  results: { query: string; sums: readonly string[]; sumShape: string },
  compute: (
    part: Part,
    blocked: readonly string[],
  ) => { readonly query: string; readonly sums: readonly string[] },
): void {
  const blocks = chunks(model, heads.length, heads.blockQueries);
  const outer = outside(model, heads, blocks, positions);
  const blocked = given.map((x) => toBlocks(model, heads, blocks, x));
  const body = loopBody(model, results.sums.length, (iteration, carried) => {
    const block = blockOf(model, heads, blocks, outer, iteration);
    const { query, sums } = compute(block, blocked);
    return {
      scanned: model.emit("Reshape", [query, model.integers([0, 0, heads.group, -1, heads.width])]),
      carried: sums.map((sum, i) => model.emit("Add", [carried[i]!, block.amongAll(sum)])),
    };
  });
  const zeros = () => model.emit("ConstantOfShape", [results.sumShape]);
  const scanned = model.fresh();
  const inputs = [blocks.count, "", ...results.sums.map(zeros)];
  model.emit("Loop", inputs, { body }, { outputs: [...results.sums, scanned] });
  fromBlocks(model, heads, scanned, results.query);
}

/** What all blocks share: the places of all keys, of a block's queries, and the queries' positions. */
interface Outside {
  readonly places: string;
  readonly offsets: string;
  /** `[n, B, c]`. */
  readonly positions: string;
  /** The length, a scalar. */
  readonly length: string;
}

function outside(
  model: ModelBuilder,
  { batch, length }: Heads,
  blocks: Chunks,
  positions: string,
): Outside {
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
function toBlocks(model: ModelBuilder, heads: Heads, blocks: Chunks, x: string): string {
  const { batch, keyHeads, group, width } = heads;
  const padded = model.emit("Pad", [x, blocks.pads(2, 4)]);
  const shape = blocks.shape([batch, keyHeads, group], [width]);
  return model.emit("Transpose", [model.emit("Reshape", [padded, shape])], {
    perm: [3, 0, 1, 2, 4, 5],
  });
}

/** The way back; the blocks' padding stands at the end of each head. */
function fromBlocks(model: ModelBuilder, heads: Heads, x: string, output: string): void {
  const { keyHeads, group, width, length } = heads;
  const rows = model.emit("Transpose", [x], { perm: [1, 2, 3, 0, 4, 5] });
  const padded = model.emit("Reshape", [rows, model.integers([0, keyHeads * group, -1, width])]);
  const slice = [padded, model.integers([0]), model.shape([length]), model.integers([2])];
  model.emit("Slice", slice, {}, { outputs: [output] });
}

interface Block extends Part {
  /** Something of the keys that the block sees among zeros for all keys. */
  amongAll(x: string): string;
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
  const part = (x: string) => emit("Gather", [x, iteration], { axis: 0 });
  const behind = emit("Sub", [outer.length, to]);
  return {
    queries: (x) => emit("Reshape", [part(x), model.integers([0, 0, -1, width])]),
    keys: (x) => seen(x, 2),
    bias: visibleBias(model, {
      window,
      positions: part(outer.positions),
      queries: emit("Add", [outer.offsets, from]),
      keys: seen(outer.places, 0),
    }),
    perHead: (x) => emit("Reshape", [x, blocks.part([0, 0, group], 1, [-1])]),
    folded: (x) => emit("Reshape", [x, blocks.part([0, 0], group, [-1])]),
    amongAll: (x) => {
      const none = model.integers([0, 0]);
      const pads = emit("Concat", [none, first, zero, none, behind, zero], { axis: 0 });
      return emit("Pad", [x, pads]);
    },
  };
}

function loopBody(
  model: ModelBuilder,
  carriedCount: number,
  build: (
    iteration: string,
    carried: readonly string[],
  ) => { readonly scanned: string; readonly carried: readonly string[] },
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
      ...[...carried, scanned].map((name) => valueInfo(name, undefined, float)),
    ];
  });
}
