import { createRandom } from "../random.js";
import type { LoraConfig } from "./config.js";
import type { LoraVariable } from "./variables.js";

/**
 * Initial value of an adapter variable: B is zero, so that training starts at the base model; A is
 * uniform. Magnitudes, which depend on the weights, are zero too until `startDora` sets them. "keras" is he_uniform, U(±√(6 / fan_in)), with fan_in over all axes but the last;
 * "standard" is kaiming_uniform(√5), U(±1 / √in).
 */
export function initialValue(
  config: LoraConfig,
  variable: LoraVariable,
  seed: number,
  index: number,
): Float32Array {
  const data = new Float32Array(variable.shape.reduce((a, b) => a * b, 1));
  if (variable.matrix !== "a") return data;
  const fanIn = variable.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const limit =
    config.layout === "keras" ? Math.sqrt(6 / fanIn) : variable.module.inFeatures ** -0.5;
  const random = createRandom({ seed, stream: "init", index });
  for (let i = 0; i < data.length; i++) data[i] = (2 * random.uniform() - 1) * limit;
  return data;
}
