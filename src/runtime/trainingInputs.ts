import type { HostTensor } from "../engines/engine.js";
import { type Adapter, startInputs } from "../lora/adapter.js";
import { createRandom, type RandomStream } from "../random.js";

/** Inputs of training programs that use them: int32 scalars, others at every step, and a factor on the noise. */
export const dropoutSeedName = "dropoutSeed";
export const noiseSeedName = "noiseSeed";
export const noiseSizeName = "noiseSize";

/** How much noise NEFTune adds (see `src/nn/embeddingNoise.ts`), and the width of the embedding. */
export interface NoiseSettings {
  readonly alpha: number;
  readonly hiddenSize: number;
}

/**
 * What a training program wants besides batch and parameters, for a step and a micro-batch: random
 * numbers from the run's seed alone, and what the adapter started from.
 */
export function trainingInputs(
  adapter: Adapter,
  seed: number,
  noise?: NoiseSettings,
): (step: number, microBatch: number, batch: { length: number }) => Record<string, HostTensor> {
  const fixed = startInputs(adapter);
  const drops = (adapter.config.dropout ?? 0) > 0;
  return (step, microBatch, { length }) => {
    const draw = (stream: RandomStream): HostTensor => {
      const random = createRandom({ seed, stream, index: step, position: microBatch });
      return { data: Int32Array.of(random.below(2 ** 31)), shape: [] };
    };
    return {
      ...fixed,
      ...(drops && { [dropoutSeedName]: draw("dropout") }),
      ...(noise !== undefined && {
        [noiseSeedName]: draw("noise"),
        [noiseSizeName]: {
          data: Float32Array.of(noise.alpha / Math.sqrt(length * noise.hiddenSize)),
          shape: [],
        },
      }),
    };
  };
}
