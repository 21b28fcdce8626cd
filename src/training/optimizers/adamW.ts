import type { Slot } from "../../engines/parameters.js";
import { type AdamOptions, adamNumbers, adamRule } from "./adam.js";
import { type Optimizer, optimizerOf } from "./optimizer.js";

/** AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101): decoupled decay, then Adam's update. */
export function adamW(slots: readonly Slot[], options: AdamOptions = {}): Optimizer {
  const numbers = adamNumbers("AdamW", { ...options, weightDecay: options.weightDecay ?? 0.004 });
  return optimizerOf("adamw", slots, options, () => numbers.weightDecay, adamRule(numbers));
}
