import type { Slot } from "../../engines/parameters.js";
import { type AdamOptions, adamNumbers, adamRule } from "./adam.js";
import { orthogonalized } from "./newtonSchulz.js";
import {
  momentOf,
  type Optimizer,
  optimizerOf,
  requireRanges,
  type VariableRule,
} from "./optimizer.js";

export interface MuonOptions extends AdamOptions {
  /** Default 0.95. */
  readonly momentum?: number | undefined;
  /** Default true. */
  readonly nesterov?: boolean | undefined;
  /** Newton–Schulz iterations; default 5. */
  readonly newtonSchulzSteps?: number | undefined;
  /** About the root mean square of an update at learning rate 1; default 0.2, as Adam's. */
  readonly rmsRate?: number | undefined;
  /** Decay of what is not a matrix; default: as `weightDecay`. */
  readonly adamWeightDecay?: number | undefined;
  /** Factor on the learning rate of what is not a matrix; default 1. */
  readonly adamRateRatio?: number | undefined;
  /** Whether a matrix is left to AdamW; default: embeddings are. */
  readonly excludes?: ((name: string) => boolean) | undefined;
}

const isEmbedding = (name: string) => /embed/i.test(name);

/**
 * Muon (Jordan et al. 2024; with the decay and scale of Liu et al. 2025, arXiv:2502.16982, as in
 * keras/src/optimizers/muon.py): the momentum of a matrix, m ← momentum · m + g, is orthogonalized
 * and scaled by rmsRate · √max(height, width). What has not two axes, and embeddings, are AdamW's.
 */
export function muon(slots: readonly Slot[], options: MuonOptions = {}): Optimizer {
  const { momentum = 0.95, nesterov = true, newtonSchulzSteps = 5, rmsRate = 0.2 } = options;
  const { excludes = isEmbedding, adamRateRatio = 1 } = options;
  const numbers = adamNumbers("Muon", options);
  const { weightDecay } = numbers;
  const { adamWeightDecay = weightDecay } = options;
  requireRanges("Muon", { momentum }, 1);
  requireRanges("Muon", { newtonSchulzSteps, rmsRate, adamRateRatio, adamWeightDecay });
  const isMatrix = ({ name, shape }: Slot) => shape.length === 2 && !excludes(name);
  const adamOf = adamRule(numbers);

  const matrixRule = (slot: Slot): VariableRule => {
    const state = { m: momentOf(slot) };
    const m = state.m.data;
    const [height, width] = slot.shape as [number, number];
    const scale = rmsRate * Math.sqrt(Math.max(height, width));
    return {
      state,
      update(p, g, { rate, kept }) {
        const direction = Float64Array.from(g, (gi, i) => {
          const mi = momentum * m[i]! + gi;
          m[i] = mi;
          return nesterov ? gi + momentum * mi : mi;
        });
        const update = orthogonalized(direction, height, width, newtonSchulzSteps);
        for (let i = 0; i < p.length; i++) p[i] = p[i]! * kept - rate * scale * update[i]!;
      },
    };
  };
  const otherRule = (slot: Slot): VariableRule => {
    const { state, update } = adamOf(slot);
    return { state, update: (p, g, at) => update(p, g, { ...at, rate: at.rate * adamRateRatio }) };
  };
  return optimizerOf(
    "muon",
    slots,
    options,
    (slot) => (isMatrix(slot) ? weightDecay : adamWeightDecay),
    (slot) => (isMatrix(slot) ? matrixRule(slot) : otherRule(slot)),
  );
}
