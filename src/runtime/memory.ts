import { freemem } from "node:os";
import { FacetError } from "../errors.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import type { FrozenWeight } from "../models/gemma/model.js";
import { blockQueries, chunkRows } from "../models/gemma/programs.js";
import { gemmaWeightSpecs } from "../models/gemma/weights.js";

/** An estimate of the memory a training run needs, in bytes. */
export interface MemoryPlan {
  /** Mapped from their files: the kernel may drop these pages under pressure. */
  readonly weights: number;
  /** What the backward pass needs of the forward pass, at the longest batch. */
  readonly activations: number;
  /** One chunk of logits, and the output head in float32 when it is stored in half precision. */
  readonly head: number;
  /** Parameters, gradients and the optimizer's state. */
  readonly optimizer: number;
  /** What the process has already: Node.js, ONNX Runtime, the data. */
  readonly process: number;
  readonly total: number;
}

/** What ONNX Runtime takes for itself when it opens a program, measured (bench case `memory`). */
const engineMemory = 36 * 2 ** 20;

/** Estimates a run's memory from shapes alone, before anything is loaded. */
export function planMemory(
  config: GemmaConfig,
  weights: ReadonlyMap<string, FrozenWeight>,
  run: {
    batchSize: number;
    sequenceLength: number;
    trainable: number;
    /** Bytes of the optimizer's state. */
    stateBytes: number;
    recompute: boolean;
    /** Layers that are trained, by name, as in `o_proj`. */
    modules: readonly string[];
    /** Bytes that the process has now. */
    process: number;
  },
): MemoryPlan {
  const { hiddenSize: d, intermediateSize: f, numHeads, numKeyValueHeads, headDim } = config;
  const tokens = run.batchSize * run.sequenceLength;
  // Per token and layer, what the backward pass needs: three of the residuals and norms; queries and keys after
  // rotation, values, what attention mixes of them and its gradient; gate, up and GELU of the feed-forward layer. The
  // inputs of products with frozen weights are needed only where an adapter is on them.
  const attention = (3 * numHeads + 2 * numKeyValueHeads) * headDim;
  const has = (...names: string[]) => names.some((name) => run.modules.includes(name));
  const inputs =
    (has("o_proj") ? numHeads * headDim : 0) +
    (has("gate_proj", "up_proj") ? d : 0) +
    (has("down_proj") ? f : 0);
  const perLayer = 3 * d + attention + 3 * f + inputs;
  const layers = run.recompute ? 1 : config.numLayers;
  const kept = run.recompute ? config.numLayers * d : 0;
  // Of one block of queries, in the backward pass: probabilities and the gradient of scores.
  const together = blockQueries(run.sequenceLength) ?? run.sequenceLength;
  const queries = run.batchSize * numHeads * together;
  const block = 2 * queries * run.sequenceLength;
  const activations = 4 * (tokens * (perLayer * layers + kept) + block);

  const embedding = weights.get(gemmaWeightSpecs(config)[0]!.name);
  const isFloat32 = embedding !== undefined && "dtype" in embedding && embedding.dtype === "F32";
  const widened = isFloat32 ? 0 : 4 * config.vocabularySize * d;
  const rows = Math.min(tokens, chunkRows(config.vocabularySize));
  const head = 8 * rows * config.vocabularySize + widened;
  const mapped = [...weights.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0);
  const optimizer = 8 * run.trainable + run.stateBytes;
  const ownMemory = run.process + engineMemory;
  return {
    weights: mapped,
    activations,
    head,
    optimizer,
    process: ownMemory,
    total: mapped + activations + head + optimizer + ownMemory,
  };
}

/** Throws a FacetError when what cannot be dropped under pressure is more than this machine has free. */
export function refuseTooLarge(plan: MemoryPlan): void {
  const available = availableMemory();
  const needed = plan.total - plan.weights - plan.process;
  if (needed <= available) return;
  throw new FacetError(
    `This run needs about ${gib(needed)} besides ${gib(plan.weights)} of mapped weights, and ` +
      `${gib(available)} are free. Use a smaller --batch-size or --sequence-length, or --recompute.`,
  );
}

/** Memory this process may still take, in bytes: what the system has free, within the container's limit. */
export function availableMemory(): number {
  // Newer versions of Node count reclaimable memory and the container's limit themselves.
  const { availableMemory: precise } = process as { availableMemory?: () => number };
  return precise?.() ?? freemem();
}

export const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
