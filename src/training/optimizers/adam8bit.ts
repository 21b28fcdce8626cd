import type { Slot } from "../../engines/parameters.js";
import { type AdamOptions, adamNumbers, adamStep } from "./adam.js";
import { blockSize, eightBitBuffer } from "./blockwise8bit.js";
import { type Optimizer, optimizerOf } from "./optimizer.js";

/**
 * Adam with moments of 8 bits (Dettmers et al. 2022, arXiv:2110.02861): a quarter of the state of
 * float32 moments. A step computes with the moments as they are before they are rounded.
 */
export function adam8bit(slots: readonly Slot[], options: AdamOptions = {}): Optimizer {
  const numbers = adamNumbers("8-bit Adam", options);
  const { beta1, beta2, weightDecay } = numbers;
  return optimizerOf(
    "adam8bit",
    slots,
    options,
    () => weightDecay,
    (slot) => {
      const m = eightBitBuffer("m", slot, { signed: true });
      const v = eightBitBuffer("v", slot, { signed: false, keepPositive: true });
      const [mBlock, vBlock] = [new Float64Array(blockSize), new Float64Array(blockSize)];
      return {
        state: { ...m.state, ...v.state },
        update(p, g, { step, rate, kept }) {
          const { stepSize, epsilon } = adamStep(numbers, step, rate);
          for (let start = 0; start < p.length; start += blockSize) {
            const block = start / blockSize;
            m.read(block, mBlock);
            v.read(block, vBlock);
            for (let i = 0; i < Math.min(blockSize, p.length - start); i++) {
              const gi = g[start + i]!;
              const mi = mBlock[i]! + (gi - mBlock[i]!) * (1 - beta1);
              const vi = vBlock[i]! + (gi * gi - vBlock[i]!) * (1 - beta2);
              mBlock[i] = mi;
              vBlock[i] = vi;
              p[start + i] = p[start + i]! * kept - (stepSize * mi) / (Math.sqrt(vi) + epsilon);
            }
            m.write(block, mBlock);
            v.write(block, vBlock);
          }
        },
      };
    },
  );
}
