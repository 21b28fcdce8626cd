import type { Batch } from "../data/batches.js";
import { longerOnes, makePairBatch, type Pairs } from "../data/pairBatches.js";
import type { Executable, HostTensor } from "../engines/engine.js";
import { batchInputs, type Objective } from "./gradient.js";
import type { BatchSource } from "./loop.js";
import { evaluationBatches, exampleSource, type SourceOptions } from "./sources.js";

/** log p of each pair's answers under the model that DPO compares with. */
export interface ReferenceScores {
  readonly chosen: Float32Array;
  readonly rejected: Float32Array;
}

/** How the pairs are scored: by log p of the whole answer against a reference, or by the mean of its tokens' log p. */
export type PreferenceScores =
  | { readonly kind: "dpo"; readonly reference: ReferenceScores }
  | { readonly kind: "orpo" };

/** Pairs in a new order every epoch, as `exampleSource` has examples; `batchSize` counts pairs. */
export function pairSource(pairs: Pairs, options: Omit<SourceOptions, "packTo">): BatchSource {
  const source = exampleSource(longerOnes(pairs), options);
  return {
    stepsIn: source.stepsIn,
    batches: (epoch, index) =>
      source.batches(epoch, index).map(({ rows }) => makePairBatch(pairs, rows, options.padId)),
  };
}

/** All pairs once, shortest first. */
export function* pairEvaluationBatches(
  pairs: Pairs,
  batchSize: number,
  padId: number,
): Generator<Batch> {
  for (const { rows } of evaluationBatches(longerOnes(pairs), batchSize, padId)) {
    yield makePairBatch(pairs, rows, padId);
  }
}

/**
 * Learning from pairs, whose losses are averaged. The batches are those of `makePairBatch`, the program is that of
 * `preferenceProgram`. A pair is right when its margin is positive, and half right when it is zero.
 */
export const preferenceObjective = (scores: PreferenceScores): Objective => ({
  divisor: (step) => step.reduce((sum, { rows }) => sum + rows.length, 0),
  inputs(batch, divisor) {
    const { rows, length, size } = batch;
    const count = rows.length;
    const inputs = batchInputs(batch);
    const sequences = Int32Array.from(inputs.rows!.data, (place) => Math.floor(place / length));
    const vector = (data: Float32Array | Int32Array): HostTensor => ({
      data,
      shape: [data.length],
    });
    return {
      ...inputs,
      weights: vector(tokenWeights(scores, sequences, size)),
      sequences: vector(sequences),
      chosen: vector(Int32Array.from({ length: count }, (_, i) => i)),
      rejected: vector(Int32Array.from({ length: count }, (_, i) => count + i)),
      share: vector(new Float32Array(count).fill(1 / divisor)),
      ...(scores.kind === "dpo" && {
        reference: vector(
          Float32Array.from(
            rows,
            (row) => scores.reference.chosen[row]! - scores.reference.rejected[row]!,
          ),
        ),
      }),
    };
  },
  measure(outputs, { rows }) {
    const margins = [...outputs.margin!.data];
    return {
      correct: margins.reduce((sum, margin) => sum + (Math.sign(margin) + 1) / 2, 0),
      counted: rows.length,
      sums: {
        margin: total(margins),
        chosen_log_probability: total(outputs.chosenScore!.data),
        rejected_log_probability: total(outputs.rejectedScore!.data),
      },
    };
  },
});

/** What each token counts in its sequence's score. */
function tokenWeights(
  { kind }: PreferenceScores,
  sequences: Int32Array,
  size: number,
): Float32Array {
  if (kind === "dpo") return new Float32Array(sequences.length).fill(1);
  const lengths = new Uint32Array(size);
  for (const sequence of sequences) lengths[sequence]! += 1;
  return Float32Array.from(sequences, (sequence) => 1 / lengths[sequence]!);
}

const total = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value, 0);

/**
 * log p of the answers of the pairs at `indices`, by the evaluation program of next tokens; NaN for all other pairs.
 */
export async function scorePairs(
  program: Executable,
  parameters: Readonly<Record<string, HostTensor>>,
  pairs: Pairs,
  { indices, padId }: { readonly indices: readonly number[]; readonly padId: number },
): Promise<ReferenceScores> {
  const blank = () => new Float32Array(pairs.chosen.length).fill(Number.NaN);
  const scores = { chosen: blank(), rejected: blank() };
  const longer = longerOnes(pairs);
  const lengthOf = new Map(indices.map((index) => [index, longer.at(index)!.ids.length]));
  const order = [...indices].sort((a, b) => lengthOf.get(a)! - lengthOf.get(b)!);
  for (let from = 0; from < order.length; from += 2) {
    const batch = makePairBatch(pairs, order.slice(from, from + 2), padId);
    const inputs = batchInputs(batch);
    const { rowLoss } = await program.run({ ...inputs, ...parameters });
    const sums = new Float64Array(batch.size);
    inputs.rows!.data.forEach((place, i) => {
      sums[Math.floor(place / batch.length)]! -= rowLoss!.data[i]!;
    });
    batch.rows.forEach((row, i) => {
      scores.chosen[row] = sums[i]!;
      scores.rejected[row] = sums[batch.rows.length + i]!;
    });
    // The engine blocks while it runs: let signals through between batches.
    await new Promise(setImmediate);
  }
  return scores;
}
