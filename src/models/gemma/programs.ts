import {
  addDims,
  crossEntropy,
  gatherRows,
  gradients,
  input,
  matmul,
  multiply,
  type Program,
  program,
  sum,
  symbol,
  type Tensor,
} from "../../graph/index.js";
import type { EmbeddingNoise } from "../../nn/embeddingNoise.js";
import type { Adaptation } from "../../nn/linear.js";
import { softCap } from "../../nn/softCap.js";
import { type ForwardContext, gemmaBackbone } from "./backbone.js";
import type { GemmaConfig } from "./config.js";
import { layerViews } from "./views.js";
import { gemmaWeights } from "./weights.js";

/** A model as the graph sees it: its shape, and where each of its tensors comes from. */
export interface GemmaGraph {
  readonly config: GemmaConfig;
  /** The tensor of a weight name: frozen in a file, or a trainable input. */
  readonly tensor: (name: string) => Tensor;
  /** What the adapter does to a module, if anything. */
  readonly adapt: (module: string) => Adaptation | undefined;
  /** Inputs to differentiate with respect to, by name. */
  readonly trainable: ReadonlyMap<string, Tensor>;
  /** Noise on the embedded tokens, in training only. */
  readonly noise?: EmbeddingNoise | undefined;
}

export interface ProgramOptions {
  /** Longest sequence the program will see, in tokens. */
  readonly maxLength: number;
}

const [B, T, P, R] = ["B", "T", "P", "R"].map(symbol);

/** The hidden states of the program inputs `ids` and `positions`, and the weights they came from. */
export function forward(
  model: GemmaGraph,
  maxLength: number,
  { recompute = false, noise }: { recompute?: boolean; noise?: EmbeddingNoise | undefined } = {},
) {
  const { config } = model;
  const ids = input("ids", [B!, T!], "int32");
  const positions = input("positions", [B!, T!], "int32");
  const context: ForwardContext = {
    batch: B!,
    length: T!,
    positions,
    views: layerViews(config, maxLength),
    blockQueries: blockQueries(maxLength),
    recompute,
    noise,
  };
  const w = gemmaWeights(config, model.tensor, model.adapt);
  return { hidden: gemmaBackbone(ids, w, config, context), w };
}

/**
 * Queries of attention computed at a time, measured: in short rows the loop over blocks would take
 * longer than the masked pairs it leaves out.
 */
export const blockQueries = (maxLength: number): number | undefined =>
  maxLength > 512 ? 128 : undefined;

/** Rows of logits computed at a time: about 128 MiB of them. */
export const chunkRows = (vocabularySize: number) =>
  Math.max(16, Math.floor(2 ** 25 / vocabularySize));

/** The cross-entropy of the program inputs `rows`, `targets` and `weights`. */
export function head(model: GemmaGraph, hidden: Tensor, embedding: Tensor) {
  const rows = input("rows", [R!], "int32");
  const targets = input("targets", [R!], "int32");
  const weights = input("weights", [R!]);
  // Only the rows that have a target: logits of prompts and padding are never computed.
  const { vocabularySize, finalSoftCap } = model.config;
  return crossEntropy(gatherRows(hidden, rows), embedding, targets, weights, {
    chunkRows: chunkRows(vocabularySize),
    ...(finalSoftCap !== undefined && { softCap: finalSoftCap }),
  });
}

/** Logits of the rows of hidden states: `[R, D]` to `[R, V]`. */
const logitsOf = ({ config }: GemmaGraph, hidden: Tensor, embedding: Tensor): Tensor =>
  softCap(matmul(hidden, embedding, { transposeB: true }), config.finalSoftCap);

export const gradientName = (parameter: string) => `gradient:${parameter}`;

/**
 * One training step without the optimizer.
 *
 * Inputs: `ids`, `positions` int32 `[B, T]`; `rows`, `targets` int32 `[R]`, `weights` `[R]`: the
 * positions (row-major in `[B·T]`) that have a target, what it is, and what it counts; and every
 * trainable parameter by name. Outputs: `loss` = Σ weights · cross-entropy, `correct` = Σ weights ·
 * [most likely id = target], `rowLoss` `[R]`, and `gradient:<parameter>` of `loss`. Examples
 * may share a row: positions start anew with each, and none sees another.
 */
export function trainingProgram(
  model: GemmaGraph,
  options: ProgramOptions & { recompute: boolean },
): Program {
  const { hidden, w } = forward(model, options.maxLength, { ...options, noise: model.noise });
  const { loss, correct, rowLoss } = head(model, hidden, w.embedding);
  const names = [...model.trainable.keys()];
  const slopes = gradients(loss, [...model.trainable.values()]);
  const weights = input("weights", [R!]);
  return program({
    loss,
    correct: sum(multiply(correct, weights)),
    rowLoss,
    ...Object.fromEntries(names.map((name, i) => [gradientName(name), slopes[i]!])),
  });
}

/** As `trainingProgram`, without gradients; adds `rowCorrect` `[R]`. */
export function evaluationProgram(model: GemmaGraph, { maxLength }: ProgramOptions): Program {
  const { hidden, w } = forward(model, maxLength);
  const { loss, correct, rowLoss } = head(model, hidden, w.embedding);
  const weights = input("weights", [R!]);
  return program({ loss, correct: sum(multiply(correct, weights)), rowLoss, rowCorrect: correct });
}

/** Logits at chosen positions. Inputs `ids`, `positions`, `rows`; output `logits` `[R, V]`. */
export function logitsProgram(model: GemmaGraph, { maxLength }: ProgramOptions): Program {
  const { hidden, w } = forward(model, maxLength);
  const chosen = gatherRows(hidden, input("rows", [R!], "int32"));
  return program({ logits: logitsOf(model, chosen, w.embedding), hidden: chosen });
}

const cacheNames = (layer: number) => ({
  keys: `keys.${layer}`,
  values: `values.${layer}`,
  newKeys: `new.keys.${layer}`,
  newValues: `new.values.${layer}`,
});

/**
 * Generation with a key/value cache: T new tokens in each row, after those in the P places of a cache.
 *
 * Inputs: `ids`, `positions` `[B, T]`; `keyPositions` int32 `[B, P+T]`: padding, and a place of the
 * cache that holds nothing, have a position no query reaches; `keys.i`, `values.i` `[B, kvHeads, P,
 * headDim]`; `rows` `[R]`. Outputs: `logits` `[R, V]`, and the new tokens' keys and values `[B, kvHeads,
 * T, headDim]`, `new.keys.i` and `new.values.i`, which the caller puts into its cache.
 */
export function generationProgram(model: GemmaGraph, { maxLength }: ProgramOptions): Program {
  const { config } = model;
  const ids = input("ids", [B!, T!], "int32");
  const positions = input("positions", [B!, T!], "int32");
  const keyPositions = input("keyPositions", [B!, addDims(P!, T!)], "int32");
  const added: Record<string, Tensor> = {};
  const cached = [B!, config.numKeyValueHeads, P!, config.headDim];
  const context: ForwardContext = {
    batch: B!,
    length: T!,
    positions,
    views: layerViews(config, maxLength),
    recompute: false,
    cache: {
      positions: keyPositions,
      read: (layer, { keys, values }) => {
        const names = cacheNames(layer);
        added[names.newKeys] = keys;
        added[names.newValues] = values;
        return { keys: input(names.keys, cached), values: input(names.values, cached) };
      },
    },
  };
  const w = gemmaWeights(config, model.tensor, model.adapt);
  const hidden = gemmaBackbone(ids, w, config, context);
  const chosen = gatherRows(hidden, input("rows", [R!], "int32"));
  const logits = logitsOf(model, chosen, w.embedding);
  return program({ logits, ...added }, { activations: "int8" });
}
