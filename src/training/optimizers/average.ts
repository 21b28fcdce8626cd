import type { Slot } from "../../engines/parameters.js";
import { momentOf, type Optimizer, requireRanges } from "./optimizer.js";

/**
 * An optimizer that also keeps the exponential moving average of the parameters, as state, so that
 * a checkpoint has it: average ← decay · average + (1 − decay) · p after every step. The first step
 * begins it, as in Keras (`use_ema`, keras/src/optimizers/base_optimizer.py).
 */
export function withAverage(
  optimizer: Optimizer,
  slots: readonly Slot[],
  decay: number,
): Optimizer & { readonly copyAverage: (to: Float32Array) => void } {
  requireRanges("The average", { decay }, 1);
  const averages = slots.map((slot) => ({ ...slot, average: momentOf(slot) }));
  return {
    name: optimizer.name,
    get step() {
      return optimizer.step;
    },
    set step(step) {
      optimizer.step = step;
    },
    state: new Map([
      ...optimizer.state,
      ...averages.map(({ name, average }) => [`average/${name}`, average] as const),
    ]),
    update(values, gradients, learningRate) {
      optimizer.update(values, gradients, learningRate);
      const kept = optimizer.step === 1 ? 0 : decay;
      for (const { offset, average } of averages) {
        const { data } = average;
        for (let i = 0; i < data.length; i++)
          data[i] = kept * data[i]! + (1 - kept) * values[offset + i]!;
      }
    },
    copyAverage(to) {
      for (const { offset, average } of averages) to.set(average.data, offset);
    },
  };
}
