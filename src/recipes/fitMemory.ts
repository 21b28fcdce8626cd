import { FacetError } from "../errors.js";
import type { OpenModel } from "../hub/openModel.js";
import type { WeightType } from "../hub/weightTypes.js";
import { gib, type MemoryPlan, planMemory } from "../runtime/memory.js";

/** What a plan depends on that is known before a run begins. */
export interface Planned {
  readonly batchSize: number;
  /** Sequences in a row: two for a pair of answers. */
  readonly sequencesInRow: number;
  /** Tokens of the longest row. */
  readonly longest: number;
  readonly trainable: number;
  readonly stateBytes: number;
  /** Layers that are trained, by name. */
  readonly modules: readonly string[];
  /** Bytes that the process has already. */
  readonly process: number;
}

/** What decides how much memory a run takes, and does not change what it learns, but for `weights`. */
export interface Fit {
  readonly microBatchSize: number;
  readonly recompute: boolean;
}

/** The memory of a run that computes its steps in this way. */
export const memoryOf = (
  { config, frozen }: Pick<OpenModel, "config" | "frozen">,
  { batchSize, sequencesInRow, longest, trainable, stateBytes, modules, process }: Planned,
  { microBatchSize, recompute }: Fit,
): MemoryPlan =>
  planMemory(config, frozen, {
    ...{ trainable, stateBytes, modules, process, recompute, sequenceLength: longest },
    batchSize: Math.min(microBatchSize, batchSize) * sequencesInRow,
  });

/** A size such as 8GiB, 512MiB or 6.5GB, in bytes. Throws a FacetError for any other text. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(K|M|G|T)(i?)B?$/i.exec(text.trim());
  const bytes =
    match === null
      ? Number.NaN
      : Number(match[1]) *
        (match[3] === "" ? 1000 : 1024) ** ("KMGT".indexOf(match[2]!.toUpperCase()) + 1);
  if (bytes > 0) return bytes;
  throw new FacetError(`--memory ${JSON.stringify(text)} is not a size such as 8GiB or 512MiB.`);
}

/**
 * The quickest way to compute a run's steps that fits into `bytes`: the whole batch at once, or smaller micro-batches, or
 * these with recomputation. What is `given` stays as it is. Undefined when no way fits.
 */
export function fittingWay(
  model: Pick<OpenModel, "config" | "frozen">,
  planned: Planned,
  bytes: number,
  given: { readonly microBatchSize?: number | undefined; readonly recompute: boolean },
): Fit | undefined {
  const sizes =
    given.microBatchSize === undefined ? halves(planned.batchSize) : [given.microBatchSize];
  for (const recompute of given.recompute ? [true] : [false, true]) {
    for (const microBatchSize of sizes) {
      const fit = { microBatchSize, recompute };
      if (memoryOf(model, planned, fit).total <= bytes) return fit;
    }
  }
  return undefined;
}

/** The number, half of it, a quarter, and so on to 1. */
function halves(whole: number): number[] {
  const sizes = [whole];
  while (sizes.at(-1)! > 1) sizes.push(Math.ceil(sizes.at(-1)! / 2));
  return sizes;
}

/** Types of weights in the order in which they are tried; smaller ones change what is computed. */
export const weightsToTry = (given: WeightType, mayChange: boolean): readonly WeightType[] =>
  given === "auto" && mayChange ? ["auto", "int8", "int4"] : [given];

/** The error for a run that fits in no way. */
export const fitsInNoWay = (model: OpenModel, planned: Planned, bytes: number): FacetError => {
  const least = memoryOf(model, planned, { microBatchSize: 1, recompute: true });
  return new FacetError(
    `The run does not fit into ${gib(bytes)}: one row at a time, with recomputation, needs about ${gib(least.total)} ` +
      `(weights ${gib(least.weights)}, activations ${gib(least.activations)}, head ${gib(least.head)}, optimizer ${gib(least.optimizer)}, process ${gib(least.process)}). ` +
      "Use a smaller model or --sequence-length, or more --memory.",
  );
};
