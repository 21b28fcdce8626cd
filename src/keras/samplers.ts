import { FacetError, unknownName } from "../errors.js";
import { greedy, randomSampler, type Sampler, topK, topP } from "../generation/samplers.js";

/** Keras's sampler names. */
const named: Readonly<Record<string, () => Sampler>> = {
  greedy,
  random: randomSampler,
  top_k: topK,
  top_p: topP,
};

const samplerNames: readonly string[] = Object.keys(named);

/** A sampler by Keras's name with Keras's defaults, or one made with its own options. */
export function samplerOf(sampler: string | Sampler): Sampler {
  if (typeof sampler === "function") return sampler;
  if (typeof sampler !== "string") throw new FacetError("A sampler is a name or a function.");
  if (!Object.hasOwn(named, sampler)) throw unknownName("sampler", sampler, samplerNames);
  return named[sampler]!();
}
