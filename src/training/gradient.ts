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

/** What is learned: how a step's batches become inputs of the training program, and what its outputs say. */
export interface Objective {
  /** What the step's summed losses are divided by. */
  divisor(step: readonly Batch[]): number;
  inputs(batch: Batch, divisor: number): Record<string, HostTensor>;
  measure(outputs: Readonly<Record<string, HostTensor>>, batch: Batch, divisor: number): Measured;
}

/** What a batch's outputs say besides the loss. */
export interface Measured {
  /** How many of `counted` decisions were right: tokens guessed, pairs put in order, rows put into their class. */
  readonly correct: number;
  readonly counted: number;
  /** Other quantities, each summed over the decisions. */
  readonly sums?: Readonly<Record<string, number>>;
}

export interface GradientResult {
  /** Reduced as asked. */
  readonly loss: number;
  /** Not divided. */
  readonly lossSum: number;
  /** How many of `counted` decisions were right: of target tokens, if the objective has no other. */
  readonly correct: number;
  readonly counted: number;
  /** Means over the decisions of what else the objective measures. */
  readonly measures: Readonly<Record<string, number>>;
  readonly targetTokens: number;
  readonly rows: number;
}

/** Next tokens by cross-entropy, as `trainingProgram` computes it. */
export const nextToken = (reduction: LossReduction): Objective => ({
  divisor: (step) =>
    reduction.kind === "mean"
      ? total(step, ({ targetTokens }) => targetTokens)
      : total(step, ({ size }) => size) * reduction.sequenceLength,
  inputs: batchInputs,
  measure: (outputs, { targetTokens }, divisor) => ({
    correct: outputs.correct!.data[0]! * divisor,
    counted: targetTokens,
  }),
});

const total = (batches: readonly Batch[], of: (batch: Batch) => number): number =>
  batches.reduce((sum, batch) => sum + of(batch), 0);

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
 * Runs one optimizer step's micro-batches and leaves the gradient of their loss in `parameters`. What is learned are next
 * tokens, with the reduction that is given, or another objective. `extraInputs` gives what the program wants besides the
 * batch and the parameters.
 */
export async function computeGradient(
  program: Executable,
  parameters: Parameters,
  batches: readonly Batch[],
  learned: LossReduction | Objective,
  extraInputs: (microBatch: number, batch: Batch) => Record<string, HostTensor> = () => ({}),
): Promise<GradientResult> {
  const objective = "kind" in learned ? nextToken(learned) : learned;
  const divisor = objective.divisor(batches);
  const sum = parameters.gradients;
  const values = views(parameters.slots, parameters.values);
  let loss = 0;
  const decisions = { correct: 0, counted: 0 };
  const sums: Record<string, number> = {};
  for (const [index, batch] of batches.entries()) {
    const buffer = index === 0 ? sum : new Float32Array(sum.length);
    const into = Object.fromEntries(
      Object.entries(views(parameters.slots, buffer)).map(([name, view]) => [
        `gradient:${name}`,
        view,
      ]),
    );
    const inputs = { ...objective.inputs(batch, divisor), ...values, ...extraInputs(index, batch) };
    const outputs = await program.run(inputs, into);
    loss += outputs.loss!.data[0]!;
    const measured = objective.measure(outputs, batch, divisor);
    decisions.correct += measured.correct;
    decisions.counted += measured.counted;
    for (const [name, value] of Object.entries(measured.sums ?? {})) {
      sums[name] = (sums[name] ?? 0) + value;
    }
    if (index > 0) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + buffer[i]!;
  }
  const measures = Object.entries(sums).map(([name, value]) => [name, value / decisions.counted]);
  return {
    loss,
    lossSum: loss * divisor,
    ...decisions,
    measures: Object.fromEntries(measures),
    targetTokens: total(batches, ({ targetTokens }) => targetTokens),
    rows: total(batches, ({ size }) => size),
  };
}

/**
 * √Σ g² of each part of the model: of `layer_0` and so on, and of the modules outside the layers by their names, in the
 * order of the parameters.
 */
export function partNorms({ slots, gradients }: Parameters): Record<string, number> {
  const squares: Record<string, number> = {};
  for (const { name, offset, length } of slots) {
    const layer = /\.layers\.(\d+)\./.exec(name)?.[1];
    const part = layer === undefined ? (name.split(".").at(-2) ?? name) : `layer_${layer}`;
    let sum = 0;
    for (let i = offset; i < offset + length; i++) sum += gradients[i]! * gradients[i]!;
    squares[part] = (squares[part] ?? 0) + sum;
  }
  return Object.fromEntries(Object.entries(squares).map(([part, sum]) => [part, Math.sqrt(sum)]));
}

/** √Σ g². */
export function globalNorm(gradients: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < gradients.length; i++) sum += gradients[i]! * gradients[i]!;
  return Math.sqrt(sum);
}
