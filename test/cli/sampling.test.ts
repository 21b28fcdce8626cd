import { describe, expect, it } from "vitest";
import { samplerOf } from "../../src/cli/sampling.js";
import { createRandom } from "../../src/random.js";

const logits = Float32Array.of(0, 3, 1, 2);
const random = () => createRandom({ seed: 1, stream: "sampling", index: 0 });
const drawn = (options: Parameters<typeof samplerOf>[0]) => {
  const [sampler, source] = [samplerOf(options), random()];
  return new Set(Array.from({ length: 200 }, () => sampler(logits, source, [])));
};

describe("samplerOf", () => {
  it("makes the sampler of that name with its own options", () => {
    expect(drawn({ sampler: "greedy" })).toEqual(new Set([1]));
    expect(drawn({ sampler: "top_k", topK: 2 })).toEqual(new Set([1, 3]));
    expect(drawn({ sampler: "top_p", topP: 0.01 })).toEqual(new Set([1]));
    expect(drawn({ sampler: "random", temperature: 50 })).toEqual(new Set([0, 1, 2, 3]));
    expect(drawn({ sampler: "random", temperature: 0.01 })).toEqual(new Set([1]));
  });

  it.each([
    [{ sampler: "greedy", topK: 3 }, "--top-k has a meaning only with --sampler top_k"],
    [{ sampler: "top_k", topP: 0.5 }, "--top-p has a meaning only with --sampler top_p"],
    [{ sampler: "greedy", temperature: 2 }, "--temperature has a meaning only"],
    [{ sampler: "greedy", seed: 2 }, "--seed has a meaning only"],
  ] as const)("refuses %j, in which an option would be ignored", (options, message) => {
    expect(() => samplerOf(options)).toThrow(message);
  });
});
