import type { HostTensor } from "../engines/engine.js";
import type { Adapter } from "../lora/adapter.js";
import { createRandom } from "../random.js";
import { dropoutSeedName } from "./session.js";

/** The dropout seed of each step and micro-batch, from the run's seed alone; nothing without dropout. */
export function dropoutSeeds(
  adapter: Adapter,
  seed: number,
): (step: number, microBatch: number) => Record<string, HostTensor> {
  if ((adapter.config.dropout ?? 0) === 0) return () => ({});
  return (step, microBatch) => {
    const random = createRandom({ seed, stream: "dropout", index: step, position: microBatch });
    const data = Int32Array.of(random.below(2 ** 31));
    return { [dropoutSeedName]: { data, shape: [] } };
  };
}
