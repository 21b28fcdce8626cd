import type { Batch } from "../data/batches.js";
import type { Executable, HostTensor } from "../engines/engine.js";
import { type Parameters, views } from "../engines/parameters.js";

/**
 * What the summed token losses are divided by: "mean" is the number of target tokens of the whole
 * optimizer step, so that any split into micro-batches gives the same gradient; "keras" is rows ×
 * sequence length, padding included, which is what Keras's default reduction does.
 */
export type LossReduction =
  | { readonly kind: "mean" }
  | { readonly kind: "keras"; readonly sequenceLength: number };

export interface GradientResult {
  /** Reduced as asked. */
  readonly loss: number;
  /** Σ of the losses of all target tokens. */
  readonly lossSum: number;
  /** Target tokens whose most likely id was right. */
  readonly correct: number;
  readonly targetTokens: number;
  readonly rows: number;
}

/** The inputs that a batch gives to the training and evaluation programs. */
export function batchInputs(batch: Batch, divisor = 1): Record<string, HostTensor> {
  const { ids, size, length, weights } = batch;
  const positions = batch.positions ?? Int32Array.from(ids, (_, place) => place % length);
  const shape = [size, length];
  const rows = Int32Array.from(weights.keys()).filter((place) => weights[place] !== 0);
  const count = [rows.length];
  return {
    ids: { data: ids, shape },
    positions: { data: positions, shape },
    rows: { data: rows, shape: count },
    targets: { data: rows.map((place) => batch.targets[place]!), shape: count },
    weights: { data: Float32Array.from(rows, (place) => weights[place]! / divisor), shape: count },
  };
}

/**
 * Runs one optimizer step's micro-batches and leaves the gradient of their loss in `parameters`.
 * `extraInputs` gives what the program wants besides the batch and the parameters.
 */
export async function computeGradient(
  program: Executable,
  parameters: Parameters,
  batches: readonly Batch[],
  reduction: LossReduction,
  extraInputs: (microBatch: number, batch: Batch) => Record<string, HostTensor> = () => ({}),
): Promise<GradientResult> {
  const targetTokens = batches.reduce((sum, batch) => sum + batch.targetTokens, 0);
  const rows = batches.reduce((sum, batch) => sum + batch.size, 0);
  const divisor = reduction.kind === "mean" ? targetTokens : rows * reduction.sequenceLength;
  const total = parameters.gradients;
  const values = views(parameters.slots, parameters.values);
  let loss = 0;
  let correct = 0;
  for (const [index, batch] of batches.entries()) {
    const buffer = index === 0 ? total : new Float32Array(total.length);
    const into = Object.fromEntries(
      Object.entries(views(parameters.slots, buffer)).map(([name, view]) => [
        `gradient:${name}`,
        view,
      ]),
    );
    const inputs = { ...batchInputs(batch, divisor), ...values, ...extraInputs(index, batch) };
    const outputs = await program.run(inputs, into);
    loss += outputs.loss!.data[0]!;
    correct += outputs.correct!.data[0]! * divisor;
    if (index > 0) for (let i = 0; i < total.length; i++) total[i] = total[i]! + buffer[i]!;
  }
  return { loss, lossSum: loss * divisor, correct, targetTokens, rows };
}

/** √Σ g². */
export function globalNorm(gradients: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < gradients.length; i++) sum += gradients[i]! * gradients[i]!;
  return Math.sqrt(sum);
}
