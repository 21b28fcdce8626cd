import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Decoder, generateTokens } from "../../src/generation/generate.js";
import { openGuesser } from "../../src/generation/promptLookup.js";
import { greedy, repetitionPenalty, topK } from "../../src/generation/samplers.js";
import { generationProgram } from "../../src/models/gemma/programs.js";
import * as tiny from "../support/tinyGemma.js";
import { countingDecoder } from "./countingDecoder.js";

describe("a guesser", () => {
  test("guesses what followed the last tokens when they occurred most recently", () => {
    const { guess } = openGuesser();
    expect(guess([1, 2, 3, 4, 5, 1, 2], 10)).toEqual([3, 4, 5]);
    expect(guess([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], 10)).toEqual([4, 9, 1]);
  });

  test("prefers a longer match to a more recent one", () => {
    expect(openGuesser().guess([7, 1, 2, 3, 8, 1, 2, 4, 7, 1, 2], 10)).toEqual([3, 8, 1]);
  });

  test("guesses nothing for what never occurred, and no more than it may", () => {
    const { guess } = openGuesser();
    expect(guess([1, 2, 3, 4], 10)).toEqual([]);
    expect(guess([5], 10)).toEqual([]);
    expect(guess([1, 2, 3, 4, 5, 1, 2], 1)).toEqual([3]);
    expect(guess([1, 2, 3, 4, 5, 1, 2], 0)).toEqual([]);
    expect(guess([1, 2, 3, 4, 5, 1, 2], -1)).toEqual([]);
  });

  test("guesses more after success, up to 12, and one at a time after failure", () => {
    const { guess, learn } = openGuesser();
    const ids = [...Array(40).keys(), 0, 1];
    const counts = [3, 6, 12, 12].map((wanted) => {
      const { length } = guess(ids, 100);
      learn(length, length);
      expect(length).toBe(wanted);
      return length;
    });
    for (const length of counts) learn(length, 0);
    learn(1, 0);
    expect(guess(ids, 100)).toHaveLength(1);
    learn(0, 0);
    expect(guess(ids, 100)).toHaveLength(1);
  });
});

describe("generation with guesses", () => {
  const all = async (decoder: Decoder, prompt: number[], options: object = {}) => {
    const ids: number[] = [];
    const settings = { maxLength: 40, sampler: greedy(), stopIds: [], ...options };
    for await (const [id] of generateTokens(decoder, [prompt], settings)) ids.push(id!);
    return ids;
  };

  test("takes fewer steps where text repeats, and gives the same", async () => {
    const { decoder, calls } = countingDecoder();
    const prompt = [...Array.from({ length: 20 }, (_, i) => 10 + i), 10, 11];
    expect(await all(decoder, prompt)).toEqual(Array.from({ length: 18 }, (_, i) => 12 + i));
    expect(calls.map(({ ids }) => ids![0]!.length)).toEqual([22, 4, 7, 6]);
    const plain = countingDecoder();
    expect(await all(plain.decoder, prompt, { guess: false })).toHaveLength(18);
    expect(plain.calls).toHaveLength(18);
  });

  test("drops wrong guesses and what was cached for them", async () => {
    const { decoder, calls } = countingDecoder();
    // 10, 11 is followed by 50 in the prompt, but by 12 for this model.
    expect(await all(decoder, [9, 10, 11, 50, 10, 11, 50, 9, 10], { maxLength: 14 })).toEqual([
      11, 12, 13, 14, 15,
    ]);
    const last = calls.at(-1)!;
    expect(last.cached![0]).toEqual([9, 10, 11, 50, 10, 11, 50, 9, 10, 11, 12, 13]);
    expect(calls[1]!.ids).toEqual([[11, 50, 10, 11]]);
  });

  test("ends at a stop id among the guesses, and at the maximum length", async () => {
    const { decoder } = countingDecoder();
    const prompt = [...Array.from({ length: 20 }, (_, i) => 10 + i), 10, 11];
    expect(await all(decoder, prompt, { stopIds: [15] })).toEqual([12, 13, 14, 15]);
    expect(await all(decoder, prompt, { maxLength: 24 })).toEqual([12, 13]);
  });

  describe("of a real model", () => {
    let decoder: Decoder;
    beforeAll(async () => {
      const program = await tiny.engine.compile(
        generationProgram(tiny.graph(), { maxLength: 128 }),
      );
      decoder = { ...tiny.config, program, parameters: {} };
    });
    afterAll(() => decoder.program.close());

    test.each([
      ["greedy", greedy()],
      ["greedy with a repetition penalty", repetitionPenalty(greedy(), 1.1)],
      ["top_k", topK({ k: 2, temperature: 0.7 })],
    ])("%s: the tokens that a row of a batch gets, which is not guessed", async (_, sampler) => {
      const options = { maxLength: 100, sampler, stopIds: [], seed: 5 };
      for (const prompt of [
        [2, 45, 301, 17, 92, 8, 45, 301, 17, 92],
        [2, 7, 7, 7, 7],
      ]) {
        let steps = 0;
        const counted = {
          ...decoder,
          program: {
            ...decoder.program,
            run: (...given: Parameters<typeof decoder.program.run>) => {
              steps++;
              return decoder.program.run(...given);
            },
          },
        };
        const guessed = await all(counted, prompt, options);
        const plain: number[] = [];
        for await (const [id] of generateTokens(decoder, [prompt, [2]], options)) {
          if (id !== undefined) plain.push(id);
        }
        expect(guessed).toEqual(plain);
        expect(steps).toBeLessThanOrEqual(guessed.length);
      }
    });
  });
});
