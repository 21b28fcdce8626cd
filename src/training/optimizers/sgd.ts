import type { Slot } from "../../engines/parameters.js";
import {
  type CommonOptions,
  momentOf,
  type Optimizer,
  optimizerOf,
  requireRanges,
  type VariableRule,
} from "./optimizer.js";

export interface SgdOptions extends CommonOptions {
  /** Default 0, which needs no state. */
  readonly momentum?: number | undefined;
  /** Look ahead along the velocity (Nesterov 1983, as Sutskever et al. 2013 write it). */
  readonly nesterov?: boolean | undefined;
}

/**
 * Gradient descent with momentum as Keras has it (keras/src/optimizers/sgd.py): with
 * v ← momentum · v − lr · g, p ← p + v, or p ← p + momentum · v − lr · g with Nesterov's.
 */
export function sgd(slots: readonly Slot[], options: SgdOptions = {}): Optimizer {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  requireRanges("SGD", { momentum }, 1);
  requireRanges("SGD", { "weight decay": weightDecay });
  const ruleOf = (slot: Slot) =>
    momentum === 0 ? plainRule : momentumRule(slot, momentum, nesterov);
  return optimizerOf("sgd", slots, options, () => weightDecay, ruleOf);
}

const plainRule: VariableRule = {
  state: {},
  update(p, g, { rate, kept }) {
    for (let i = 0; i < p.length; i++) p[i] = p[i]! * kept - rate * g[i]!;
  },
};

function momentumRule(slot: Slot, momentum: number, nesterov: boolean): VariableRule {
  const state = { velocity: momentOf(slot) };
  const velocity = state.velocity.data;
  return {
    state,
    update(p, g, { rate, kept }) {
      for (let i = 0; i < p.length; i++) {
        const descent = -rate * g[i]!;
        const v = momentum * velocity[i]! + descent;
        velocity[i] = v;
        p[i] = p[i]! * kept + (nesterov ? momentum * v + descent : v);
      }
    },
  };
}
