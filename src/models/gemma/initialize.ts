import { createRandom } from "../../random.js";
import type { GemmaConfig } from "./config.js";
import { gemmaWeightSpecs } from "./weights.js";

/**
 * Initial weights for pre-training from scratch, by name.
 *
 * Matrices are normal with standard deviation 1 / √in, so that activations keep their size; those
 * that write to the residual stream are divided by √(2 · layers) (Radford et al. 2019, GPT-2). The
 * embedding has 1 / √D, which Gemma's factor √D brings back to 1. Norm weights are 0: Gemma scales
 * by 1 + weight.
 */
export function initialWeights(config: GemmaConfig, seed: number): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>();
  gemmaWeightSpecs(config).forEach(({ name, shape }, index) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (shape.length === 2) {
      const residual = /\.(o_proj|down_proj)\.weight$/.test(name);
      const deviation = shape[1]! ** -0.5 / (residual ? Math.sqrt(2 * config.numLayers) : 1);
      fillNormal(data, deviation, seed, index);
    }
    weights.set(name, data);
  });
  return weights;
}

/** Normal numbers by the method of Box and Muller (1958). */
function fillNormal(data: Float32Array, deviation: number, seed: number, index: number): void {
  const random = createRandom({ seed, stream: "init", index });
  for (let i = 0; i < data.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random.uniform()));
    const angle = 2 * Math.PI * random.uniform();
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
}
