import type { Slot } from "../../engines/parameters.js";
import {
  type CommonOptions,
  momentOf,
  type Optimizer,
  optimizerOf,
  requireRanges,
} from "./optimizer.js";

export interface LionOptions extends CommonOptions {
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
}

/**
 * Lion (Chen et al. 2023, arXiv:2302.06675, algorithm 2): every element moves by the learning rate,
 * against the sign of β₁ m + (1 − β₁) g; then m ← β₂ m + (1 − β₂) g. Half of Adam's state.
 */
export function lion(slots: readonly Slot[], options: LionOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.99, weightDecay = 0 } = options;
  requireRanges("Lion", { beta1, beta2 }, 1);
  requireRanges("Lion", { "weight decay": weightDecay });
  return optimizerOf(
    "lion",
    slots,
    options,
    () => weightDecay,
    (slot) => {
      const state = { m: momentOf(slot) };
      const m = state.m.data;
      return {
        state,
        update(p, g, { rate, kept }) {
          for (let i = 0; i < p.length; i++) {
            const [gi, mi] = [g[i]!, m[i]!];
            p[i] = p[i]! * kept - rate * Math.sign(beta1 * mi + (1 - beta1) * gi);
            m[i] = beta2 * mi + (1 - beta2) * gi;
          }
        },
      };
    },
  );
}
