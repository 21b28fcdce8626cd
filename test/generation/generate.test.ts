import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Decoder,
  type GenerateOptions,
  generateTokens,
} from "../../src/generation/generate.js";
import {
  greedy,
  randomSampler,
  repetitionPenalty,
  type Sampler,
  topK,
  topP,
} from "../../src/generation/samplers.js";
import { generationProgram } from "../../src/models/gemma/programs.js";
import * as tiny from "../support/tinyGemma.js";
import { countingDecoder, nowhere } from "./countingDecoder.js";

type Rows = readonly (readonly number[])[];

/** Every step as it was yielded. */
async function steps(decoder: Decoder, prompts: Rows, options: GenerateOptions) {
  const all: (number | undefined)[][] = [];
  for await (const ids of generateTokens(decoder, prompts, options)) all.push(ids);
  return all;
}

/** What each row was given. */
async function generated(decoder: Decoder, prompts: Rows, options: GenerateOptions) {
  const all = await steps(decoder, prompts, options);
  return prompts.map((_, row) => all.map((ids) => ids[row]).filter((id) => id !== undefined));
}

const counting = (maxLength: number, stopIds: number[] = []) => ({
  maxLength,
  sampler: greedy(),
  stopIds,
});

describe("generateTokens", () => {
  test("gives every row what fits into the maximum length, its own prompt included", async () => {
    const { decoder } = countingDecoder();
    expect(await steps(decoder, [[10], [20, 21, 22]], counting(5))).toEqual([
      [11, 23],
      [12, 24],
      [13, undefined],
      [14, undefined],
    ]);
  });

  test("ends a row at any stop id, which is given too; the others go on", async () => {
    const { decoder } = countingDecoder();
    expect(await generated(decoder, [[10], [20], [30]], counting(6, [12, 21]))).toEqual([
      [11, 12],
      [21],
      [31, 32, 33, 34, 35],
    ]);
  });

  test("stops computing when every row has ended", async () => {
    const { decoder, calls } = countingDecoder();
    await steps(decoder, [[10], [20, 21]], counting(50, [12, 24]));
    expect(calls).toHaveLength(3);
  });

  test("takes a stop id in the prompt as text", async () => {
    const { decoder } = countingDecoder();
    expect(await generated(decoder, [[12, 11]], counting(20, [12, 13]))).toEqual([[12]]);
  });

  test("gives nothing to a prompt that fills the maximum length or exceeds it", async () => {
    const { decoder, calls } = countingDecoder();
    expect(
      await steps(
        decoder,
        [
          [1, 2, 3],
          [1, 2, 3, 4],
        ],
        counting(3),
      ),
    ).toEqual([]);
    expect(calls).toEqual([]);
    expect(await generated(decoder, [[1, 2, 3], [7]], counting(3))).toEqual([[], [8, 9]]);
  });

  test("refuses a prompt without tokens", async () => {
    const { decoder } = countingDecoder();
    const nothing = steps(decoder, [[1], []], counting(3));
    await expect(nothing).rejects.toThrow("A prompt has no tokens.");
  });

  test("computes a prompt at once and then a token at a time; padding has positions that nothing sees", async () => {
    const { decoder, calls } = countingDecoder();
    await steps(decoder, [[10, 11, 12], [20]], counting(5, [23]));
    const first = {
      ids: [
        [10, 11, 12],
        [0, 0, 20],
      ],
      positions: [
        [0, 1, 2],
        [0, 0, 0],
      ],
      keyPositions: [
        [0, 1, 2],
        [nowhere, nowhere, 0],
      ],
      cached: [[], []],
    };
    const second = {
      ids: [[13], [21]],
      positions: [[3], [1]],
      keyPositions: [
        [0, 1, 2, 3],
        [nowhere, nowhere, 0, 1],
      ],
      cached: first.ids,
    };
    expect(calls.slice(0, 2)).toEqual([first, second]);
  });

  test("shows the sampler the row's ids so far, and asks it only for rows that go on", async () => {
    const seen: number[][] = [];
    const sampler: Sampler = (logits, random, previous) => {
      seen.push([...previous]);
      return greedy()(logits, random, previous);
    };
    const { decoder } = countingDecoder();
    await steps(decoder, [[10, 11], [20]], { maxLength: 3, sampler, stopIds: [] });
    expect(seen).toEqual([[10, 11], [20], [20, 21]]);
  });
});

describe("a batch of prompts of different lengths", () => {
  const { numLayers, numKeyValueHeads, headDim, vocabularySize } = tiny.config;
  let decoder: Decoder;
  beforeAll(async () => {
    const program = await tiny.engine.compile(generationProgram(tiny.graph(), { maxLength: 64 }));
    decoder = { program, numLayers, numKeyValueHeads, headDim, vocabularySize, parameters: {} };
  });
  afterAll(() => decoder.program.close());

  const prompts = [[2], [2, 45, 301, 17, 92, 8], [2, 120, 33], [2, 45, 301, 17, 92, 8, 4, 400, 55]];

  test.each([
    ["greedy", greedy()],
    ["greedy with a repetition penalty", repetitionPenalty(greedy(), 1.3)],
    ["random", randomSampler()],
    ["top_k", topK({ k: 20, temperature: 1.5 })],
    ["top_p with a repetition penalty", repetitionPenalty(topP({ p: 0.9 }), 1.3)],
  ])("%s: each gets what it gets alone", async (_, sampler) => {
    const options = { maxLength: 24, sampler, stopIds: [1], seed: 11 };
    const together = await generated(decoder, prompts, options);
    const alone = await Promise.all(
      prompts.map(async (prompt) => (await generated(decoder, [prompt], options))[0]),
    );
    expect(together).toEqual(alone);
    expect(Math.max(...together.map((row) => row.length))).toBeGreaterThan(10);
  });

  test("depends on the seed alone when sampled", async () => {
    const sample = (seed: number) =>
      generated(decoder, prompts, { maxLength: 16, sampler: randomSampler(), stopIds: [], seed });
    const once = await sample(3);
    expect(await sample(3)).toEqual(once);
    expect(await sample(4)).not.toEqual(once);
  });

  test("has no repeated token under an overwhelming penalty", async () => {
    const sampler = repetitionPenalty(greedy(), 1e6);
    const options = { maxLength: 40, sampler, stopIds: [] };
    const rows = await generated(decoder, prompts, options);
    rows.forEach((row, i) => {
      const whole = [...prompts[i]!, ...row];
      expect(new Set(whole).size).toBe(whole.length);
    });
  });
});
