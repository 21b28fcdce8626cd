import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { samplerOf, samplingSchema } from "../../src/cli/sampling.js";
import { createRandom } from "../../src/random.js";

const logits = Float32Array.of(0, 3, 1, 2);
const random = () => createRandom({ seed: 1, stream: "sampling", index: 0 });
/** The options as the command line reads them, defaults added. */
const sampler = (options: z.input<typeof samplingSchema>) =>
  samplerOf(samplingSchema.parse(options));
const drawn = (options: z.input<typeof samplingSchema>, previous: number[] = []) => {
  const [choose, source] = [sampler(options), random()];
  return new Set(Array.from({ length: 200 }, () => choose(logits, source, previous)));
};

describe("samplerOf", () => {
  it("makes the sampler of that name with its own options", () => {
    expect(drawn({ sampler: "greedy" })).toEqual(new Set([1]));
    expect(drawn({ sampler: "top_k", topK: 2 })).toEqual(new Set([1, 3]));
    expect(drawn({ sampler: "top_p", topP: 0.01 })).toEqual(new Set([1]));
    expect(drawn({ sampler: "random", temperature: 50 })).toEqual(new Set([0, 1, 2, 3]));
    expect(drawn({ sampler: "random", temperature: 0.01 })).toEqual(new Set([1]));
  });

  it("makes tokens of the text less likely with every sampler, by default not at all", () => {
    expect(drawn({}, [1])).toEqual(new Set([1]));
    expect(drawn({ repetitionPenalty: 2 }, [1])).toEqual(new Set([3]));
    expect(drawn({ sampler: "top_k", topK: 2, repetitionPenalty: 4 }, [1])).toEqual(
      new Set([2, 3]),
    );
    expect(() => samplingSchema.parse({ repetitionPenalty: 0 })).toThrow(
      "expected number to be >0",
    );
  });

  it.each([
    [{ sampler: "greedy", topK: 3 }, "--top-k has a meaning only with --sampler top_k"],
    [{ sampler: "top_k", topP: 0.5 }, "--top-p has a meaning only with --sampler top_p"],
    [{ sampler: "greedy", temperature: 2 }, "--temperature has a meaning only"],
    [{ sampler: "greedy", seed: 2 }, "--seed has a meaning only"],
  ] as const)("refuses %j, in which an option would be ignored", (options, message) => {
    expect(() => sampler(options)).toThrow(message);
  });
});
