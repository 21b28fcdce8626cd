import { z } from "zod";
import { FacetError } from "../errors.js";
import {
  greedy,
  randomSampler,
  repetitionPenalty,
  type Sampler,
  topK,
  topP,
} from "../generation/samplers.js";

/** How the next token is chosen. */
export const samplingSchema = z.strictObject({
  sampler: z
    .enum(["greedy", "top_k", "top_p", "random"])
    .default("greedy")
    .describe("how the next token is chosen"),
  topK: z.int().positive().optional().describe("for top_k: draw from this many (default: 5)"),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("for top_p: draw from the likeliest that make up this probability (default: 0.1)"),
  temperature: z
    .number()
    .positive()
    .optional()
    .describe("above 1 is more varied, below 1 less; not for greedy (default: 1)"),
  repetitionPenalty: z
    .number()
    .positive()
    .default(1)
    .describe("make tokens that the text already holds less likely; 1 changes nothing"),
  seed: z.int().nonnegative().optional().describe("seed of the draws; not for greedy (default: 0)"),
});

/** The sampler that the options describe. Throws a FacetError for an option that it would ignore. */
export const samplerOf = (options: z.output<typeof samplingSchema>): Sampler =>
  repetitionPenalty(chosenSampler(options), options.repetitionPenalty);

function chosenSampler(options: z.output<typeof samplingSchema>): Sampler {
  const { sampler, topK: k, topP: p, temperature, seed } = options;
  if (k !== undefined && sampler !== "top_k") throw ignored("--top-k", "--sampler top_k");
  if (p !== undefined && sampler !== "top_p") throw ignored("--top-p", "--sampler top_p");
  const draws = "--sampler top_k, top_p or random";
  if (sampler === "greedy") {
    if (temperature !== undefined) throw ignored("--temperature", draws);
    if (seed !== undefined) throw ignored("--seed", draws);
    return greedy();
  }
  const common = temperature === undefined ? {} : { temperature };
  if (sampler === "top_k") return topK({ ...common, ...(k !== undefined && { k }) });
  if (sampler === "top_p") return topP({ ...common, ...(p !== undefined && { p }) });
  return randomSampler(common);
}

const ignored = (flag: string, needed: string) =>
  new FacetError(`${flag} has a meaning only with ${needed}. Add that, or leave ${flag} out.`);
