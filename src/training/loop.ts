import type { Batch } from "../data/batches.js";
import type { Executable, HostTensor } from "../engines/engine.js";
import type { Parameters } from "../engines/parameters.js";
import {
  computeGradient,
  type GradientResult,
  globalNorm,
  type LossReduction,
  type Objective,
  partNorms,
} from "./gradient.js";
import type { Optimizer } from "./optimizers/optimizer.js";
import { refuseBadStep } from "./refuseStep.js";
import type { Schedule } from "./schedules.js";

/** The data of a run: the micro-batches of any optimizer step, from nothing but its place. */
export interface BatchSource {
  /** Optimizer steps of an epoch. */
  stepsIn(epoch: number): number;
  batches(epoch: number, index: number): readonly Batch[];
}

/** Running totals of the current epoch. */
export interface EpochTotals {
  /** Σ loss · rows: the epoch's loss is the mean weighted by batch size, as in Keras. */
  readonly weightedLoss: number;
  readonly rows: number;
  readonly correct: number;
  readonly counted: number;
}

/** Where a run stands; with the parameters and the optimizer's moments, all that resuming needs. */
export interface LoopState {
  /** Optimizer steps done. */
  readonly step: number;
  readonly epoch: number;
  /** Steps done in this epoch. */
  readonly index: number;
  readonly totals: EpochTotals;
}

const noTotals: EpochTotals = { weightedLoss: 0, rows: 0, correct: 0, counted: 0 };
export const startState: LoopState = { step: 0, epoch: 0, index: 0, totals: noTotals };

export interface StepReport extends GradientResult {
  /** Steps done, this one included. */
  readonly step: number;
  readonly epoch: number;
  /** Of the epoch so far, this step included. */
  readonly epochLoss: number;
  readonly epochAccuracy: number;
  readonly epochEnded: boolean;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** The same of each part of the model, before clipping (see `partNorms`). */
  readonly partNorms: Readonly<Record<string, number>>;
  readonly learningRate: number;
  readonly seconds: number;
}

export interface TrainOptions {
  readonly program: Executable;
  readonly parameters: Parameters;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly source: BatchSource;
  readonly totalSteps: number;
  /** How the losses of next tokens are reduced, or what else is learned. */
  readonly objective: LossReduction | Objective;
  /** Scale the gradient down to this global norm when it is larger. */
  readonly clipNorm?: number | undefined;
  readonly start?: LoopState;
  /** What the program wants besides batch and parameters, for a step (from 0) and a micro-batch. */
  readonly extraInputs?: (
    step: number,
    microBatch: number,
    batch: Batch,
  ) => Record<string, HostTensor>;
  /** Called after every step, with the state to resume from; the next step waits for it. */
  readonly onStep?: (report: StepReport, state: LoopState) => void | Promise<void>;
  /** Asked after every step; true ends the loop early. */
  readonly shouldStop?: () => boolean;
}

/**
 * Trains until `totalSteps`. Throws a FacetError, before the parameters are touched, when a step's
 * loss or gradient is not finite, or when every gradient is zero.
 */
export async function train(options: TrainOptions): Promise<LoopState> {
  const { program, parameters, optimizer, schedule, source, objective } = options;
  let state = options.start ?? startState;
  while (state.step < options.totalSteps) {
    const began = performance.now();
    const batches = source.batches(state.epoch, state.index);
    const { step: done } = state;
    const extra = (microBatch: number, batch: Batch) =>
      options.extraInputs?.(done, microBatch, batch) ?? {};
    const result = await computeGradient(program, parameters, batches, objective, extra);
    const gradientNorm = globalNorm(parameters.gradients);
    const learningRate = schedule(state.step);
    const norms = partNorms(parameters);
    refuseBadStep(result, { step: done + 1, gradientNorm, learningRate }, parameters);
    clip(parameters.gradients, gradientNorm, options.clipNorm);
    optimizer.update(parameters.values, parameters.gradients, learningRate);

    const totals = addTotals(state.totals, result);
    const epochEnded = state.index + 1 === source.stepsIn(state.epoch);
    const step = state.step + 1;
    const report: StepReport = {
      ...result,
      step,
      epoch: state.epoch,
      epochLoss: totals.weightedLoss / totals.rows,
      epochAccuracy: totals.correct / totals.counted,
      epochEnded,
      gradientNorm,
      partNorms: norms,
      learningRate,
      seconds: (performance.now() - began) / 1000,
    };
    state = epochEnded
      ? { step, epoch: state.epoch + 1, index: 0, totals: noTotals }
      : { step, epoch: state.epoch, index: state.index + 1, totals };
    // The engine blocks while it runs: let signals through, so that `onStep` knows of them.
    await new Promise(setImmediate);
    await options.onStep?.(report, state);
    if (options.shouldStop?.()) break;
  }
  return state;
}

function addTotals(totals: EpochTotals, result: GradientResult): EpochTotals {
  return {
    weightedLoss: totals.weightedLoss + result.loss * result.rows,
    rows: totals.rows + result.rows,
    correct: totals.correct + result.correct,
    counted: totals.counted + result.counted,
  };
}

function clip(gradients: Float32Array, norm: number, limit: number | undefined): void {
  if (limit === undefined || norm <= limit) return;
  const factor = limit / norm;
  for (let i = 0; i < gradients.length; i++) gradients[i] = gradients[i]! * factor;
}
