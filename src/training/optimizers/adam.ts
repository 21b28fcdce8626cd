import type { Slot } from "../../engines/parameters.js";
import {
  type CommonOptions,
  momentOf,
  type Optimizer,
  optimizerOf,
  requireRanges,
  type VariableRule,
} from "./optimizer.js";

export interface AdamOptions extends CommonOptions {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  readonly epsilon?: number | undefined;
  /**
   * Where epsilon stands: "keras" adds it to √v, with the bias corrections folded into the step
   * size (keras/src/optimizers/adam.py); "torch" adds it to the corrected √(v / (1 − β₂ᵗ)).
   */
  readonly epsilonPlacement?: "keras" | "torch";
}

/** Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1). Without decay unless it is given one. */
export function adam(slots: readonly Slot[], options: AdamOptions = {}): Optimizer {
  const numbers = adamNumbers("Adam", options);
  return optimizerOf("adam", slots, options, () => numbers.weightDecay, adamRule(numbers));
}

export type AdamNumbers = ReturnType<typeof adamNumbers>;

/** Adam's options with Keras's defaults. Throws a FacetError for numbers that cannot be. */
export function adamNumbers(optimizer: string, options: AdamOptions) {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0 } = options;
  requireRanges(optimizer, { beta1, beta2 }, 1);
  requireRanges(optimizer, { epsilon, "weight decay": weightDecay });
  return { beta1, beta2, epsilon, weightDecay, placement: options.epsilonPlacement ?? "keras" };
}

/** Adam's update of a variable, with both moments in float32. */
export const adamRule =
  (numbers: AdamNumbers) =>
  (slot: Slot): VariableRule => {
    const state = { m: momentOf(slot), v: momentOf(slot) };
    const [m, v] = [state.m.data, state.v.data];
    const { beta1, beta2 } = numbers;
    return {
      state,
      update(p, g, { step, rate, kept }) {
        const { stepSize, epsilon } = adamStep(numbers, step, rate);
        for (let i = 0; i < p.length; i++) {
          const gi = g[i]!;
          const mi = m[i]! + (gi - m[i]!) * (1 - beta1);
          const vi = v[i]! + (gi * gi - v[i]!) * (1 - beta2);
          m[i] = mi;
          v[i] = vi;
          p[i] = p[i]! * kept - (stepSize * mi) / (Math.sqrt(vi) + epsilon);
        }
      },
    };
  };

/** The learning rate with the bias corrections of m and √v in it, and the epsilon that goes with it. */
export function adamStep(
  { beta1, beta2, epsilon, placement }: AdamNumbers,
  step: number,
  rate: number,
): { stepSize: number; epsilon: number } {
  const correction1 = 1 - beta1 ** step;
  const correction2 = Math.sqrt(1 - beta2 ** step);
  return {
    stepSize: (rate * correction2) / correction1,
    epsilon: placement === "keras" ? epsilon : epsilon * correction2,
  };
}
