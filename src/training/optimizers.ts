import type { Slot } from "../engines/parameters.js";
import { FacetError } from "../errors.js";

/** Updates parameters in place from their gradients. */
export interface Optimizer {
  readonly name: string;
  /** Steps taken so far. */
  step: number;
  /** State of the size of the parameters, by name: what a checkpoint has to hold. */
  readonly moments: Readonly<Record<string, Float32Array>>;
  update(values: Float32Array, gradients: Float32Array, learningRate: number): void;
}

export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
  /** Whether a variable decays; default: all do. */
  readonly decays?: (name: string) => boolean;
  /**
   * Where epsilon stands: "keras" adds it to √v, with the bias corrections folded into the step
   * size (keras/src/optimizers/adam.py); "torch" adds it to the corrected √(v / (1 − β₂ᵗ)).
   */
  readonly epsilonPlacement?: "keras" | "torch";
}

/**
 * AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101): p ← p − lr·decay·p, then Adam's update.
 * Moments are float32; each update is computed in float64 and rounded once.
 */
export function adamW(slots: readonly Slot[], options: AdamWOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0.004 } = options;
  const { decays = () => true, epsilonPlacement = "keras" } = options;
  requireRange("beta1", beta1, 0, 1);
  requireRange("beta2", beta2, 0, 1);
  requireRange("epsilon", epsilon, 0, Number.POSITIVE_INFINITY);
  requireRange("weight decay", weightDecay, 0, Number.POSITIVE_INFINITY);
  const size = slots.reduce((sum, slot) => sum + slot.length, 0);
  const m = new Float32Array(size);
  const v = new Float32Array(size);
  return {
    name: "adamw",
    step: 0,
    moments: { m, v },
    update(values, gradients, learningRate) {
      this.step += 1;
      const correction1 = 1 - beta1 ** this.step;
      const correction2 = Math.sqrt(1 - beta2 ** this.step);
      const stepSize = (learningRate * correction2) / correction1;
      const eps = epsilonPlacement === "keras" ? epsilon : epsilon * correction2;
      for (const { name, offset, length } of slots) {
        const kept = 1 - (decays(name) ? learningRate * weightDecay : 0);
        for (let i = offset; i < offset + length; i++) {
          const g = gradients[i]!;
          const mi = m[i]! + (g - m[i]!) * (1 - beta1);
          const vi = v[i]! + (g * g - v[i]!) * (1 - beta2);
          m[i] = mi;
          v[i] = vi;
          values[i] = values[i]! * kept - (stepSize * mi) / (Math.sqrt(vi) + eps);
        }
      }
    },
  };
}

function requireRange(what: string, value: number, from: number, below: number): void {
  if (!(value >= from && value < below)) {
    throw new FacetError(
      `AdamW's ${what} must be at least ${from} and below ${below}, not ${value}.`,
    );
  }
}
