import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  greedy,
  randomSampler,
  repetitionPenalty,
  type Sampler,
  topK,
  topP,
} from "../../src/generation/samplers.js";
import { createRandom } from "../../src/random.js";

const logitsOf = (probabilities: readonly number[]) =>
  Float32Array.from(probabilities, (p) => Math.log(p));
const probabilities = [0.1, 0.5, 0.15, 0.25];
const source = (seed = 1) => createRandom({ seed, stream: "sampling" });

function draws(sampler: Sampler, logits: Float32Array, count: number, previous: number[] = []) {
  const random = source();
  return Array.from({ length: count }, () => sampler(logits, random, previous));
}

/** The share of each token in 20,000 draws is within 4.5 standard deviations of what is expected; what has none is never drawn. */
function expectShares(
  sampler: Sampler,
  expected: readonly number[],
  { logits = logitsOf(probabilities), previous = [] as number[] } = {},
) {
  const n = 20_000;
  const counts = expected.map(() => 0);
  for (const id of draws(sampler, logits, n, previous)) counts[id]! += 1;
  expected.forEach((p, id) => {
    const deviation = Math.abs(counts[id]! / n - p);
    expect(deviation, `token ${id}`).toBeLessThanOrEqual(4.5 * Math.sqrt((p * (1 - p)) / n));
  });
}

const normalised = (weights: readonly number[]) => {
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
};

describe("greedy", () => {
  test("takes the largest logit, and of equal ones the first", () => {
    expect(draws(greedy(), logitsOf(probabilities), 5)).toEqual([1, 1, 1, 1, 1]);
    expect(draws(greedy(), Float32Array.of(-3, -1, -2, -1), 1)).toEqual([1]);
  });

  test("draws no random numbers", () => {
    const random = source();
    greedy()(logitsOf(probabilities), random, []);
    expect(random.state().position).toBe(0);
  });
});

describe("random", () => {
  test("draws each token with its probability", () => {
    expectShares(randomSampler(), probabilities);
  });

  test.each([0.5, 2])("at temperature %d, with its probability to the power 1/T", (temperature) => {
    const expected = normalised(probabilities.map((p) => p ** (1 / temperature)));
    expectShares(randomSampler({ temperature }), expected);
  });

  test("takes logits of any size, and never what is impossible", () => {
    const logits = Float32Array.of(1000, 1000 + Math.log(3), Number.NEGATIVE_INFINITY, -1000);
    expectShares(randomSampler(), [0.25, 0.75, 0, 0], { logits });
  });
});

describe("top_k", () => {
  test("draws from the k likeliest with their probabilities among themselves", () => {
    expectShares(topK({ k: 2 }), [0, 2 / 3, 0, 1 / 3]);
    expectShares(topK({ k: 3 }), normalised([0, 0.5, 0.15, 0.25]));
    expectShares(topK({ k: 2, temperature: 0.5 }), [0, 0.8, 0, 0.2]);
  });

  test("has k = 5 by default", () => {
    const shares = [0.3, 0.02, 0.2, 0.03, 0.2, 0.1, 0.15];
    const kept = shares.map((p) => (p < 0.1 ? 0 : p));
    expectShares(topK(), normalised(kept), { logits: logitsOf(shares) });
  });

  test("of equal tokens at the edge keeps the first", () => {
    const logits = logitsOf([0.2, 0.4, 0.2, 0.2]);
    expectShares(topK({ k: 2 }), [1 / 3, 2 / 3, 0, 0], { logits });
  });
});

describe("top_p", () => {
  test("draws from the fewest tokens whose probability reaches p", () => {
    expectShares(topP({ p: 0.49 }), [0, 1, 0, 0]);
    expectShares(topP({ p: 0.51 }), [0, 2 / 3, 0, 1 / 3]);
    expectShares(topP({ p: 0.74 }), [0, 2 / 3, 0, 1 / 3]);
    expectShares(topP({ p: 0.76 }), normalised([0, 0.5, 0.15, 0.25]));
    expectShares(topP({ p: 1 }), probabilities);
  });

  test("counts probabilities after the temperature", () => {
    // Square roots: 0.166, 0.370, 0.203, 0.262, so two tokens make 0.632 and three 0.834.
    const expected = normalised([0, 0.5, 0.15, 0.25].map(Math.sqrt));
    expectShares(topP({ p: 0.7, temperature: 2 }), expected);
  });

  test("has p = 0.1 by default", () => {
    const shares = [0.09, 0.05, 0.08, ...new Array<number>(13).fill(0.06)];
    const kept = shares.map((p) => (p > 0.06 ? p : 0));
    expectShares(topP(), normalised(kept), { logits: logitsOf(shares) });
  });
});

test("samplers agree where their sets are the same", () => {
  const logits = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(logits, fc.integer({ min: 0, max: 1000 }), (values, seed) => {
      const of = (sampler: Sampler) => sampler(Float32Array.from(values), source(seed), []);
      expect(of(topK({ k: 1 }))).toBe(of(greedy()));
      expect(of(topP({ p: 1e-9 }))).toBe(of(greedy()));
      expect(of(topK({ k: values.length }))).toBe(of(randomSampler()));
      expect(of(topP({ p: 1 }))).toBe(of(randomSampler()));
      expect(of(repetitionPenalty(randomSampler(), 1))).toBe(of(randomSampler()));
    }),
  );
});

describe("repetitionPenalty", () => {
  const logits = Float32Array.of(2, -1, 0.5, 0);
  const shares = (changed: number[]) => normalised(changed.map(Math.exp));

  test("divides positive logits of tokens that came before, and multiplies negative ones, once", () => {
    const sampler = repetitionPenalty(randomSampler(), 2);
    expectShares(sampler, shares([1, -2, 0.5, 0]), { logits, previous: [1, 0, 0, 1, 0] });
    expectShares(sampler, shares([2, -1, 0.5, 0]), { logits, previous: [] });
    expectShares(sampler, shares([2, -1, 0.5, 0]), { logits, previous: [3] });
  });

  test("comes before the temperature and before the choice of the likeliest", () => {
    const previous = [0];
    const sampler = repetitionPenalty(topK({ k: 2, temperature: 0.5 }), 8);
    // 2 becomes 0.25 and stays second.
    expectShares(sampler, normalised([Math.exp(0.5), 0, Math.E, 0]), { logits, previous });
    expect(draws(repetitionPenalty(greedy(), 8), logits, 1, previous)).toEqual([2]);
  });

  test("below 1 makes repeating likelier", () => {
    expect(draws(repetitionPenalty(greedy(), 0.1), logits, 1, [2])).toEqual([2]);
  });

  test("leaves the logits it was given as they were", () => {
    const given = logits.slice();
    draws(repetitionPenalty(greedy(), 3), given, 1, [0, 1, 2, 3]);
    expect(given).toEqual(logits);
  });
});

describe("refuses", () => {
  test.each([0, -1, 1.5, Number.NaN])("top_k with k = %d", (k) => {
    expect(() => topK({ k })).toThrow(`top_k needs a whole k from 1, not ${k}.`);
  });

  test.each([0, -0.1, 1.01, Number.NaN])("top_p with p = %d", (p) => {
    expect(() => topP({ p })).toThrow(`top_p needs p above 0 and at most 1, not ${p}.`);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("a temperature of %d", (temperature) => {
    const message = `The temperature must be a positive number, not ${temperature}.`;
    for (const make of [randomSampler, topK, topP]) {
      expect(() => make({ temperature })).toThrow(message);
    }
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("a penalty of %d", (penalty) => {
    expect(() => repetitionPenalty(greedy(), penalty)).toThrow(
      `The repetition penalty must be a positive number, not ${penalty}.`,
    );
  });
});
