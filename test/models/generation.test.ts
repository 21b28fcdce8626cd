import { describe, expect, test } from "vitest";
import type { Executable } from "../../src/engines/engine.js";
import { views } from "../../src/engines/parameters.js";
import { openCache } from "../../src/generation/cache.js";
import { type Decoder, generateTokens } from "../../src/generation/generate.js";
import { greedy } from "../../src/generation/samplers.js";
import type { Adapter } from "../../src/lora/adapter.js";
import { generationProgram } from "../../src/models/gemma/programs.js";
import { largestDifference } from "../support/closeness.js";
import * as tiny from "../support/tinyGemma.js";

/** Runs `use` with the compiled generation program of the tiny model. */
async function withDecoder<T>(adapter: Adapter | undefined, use: (d: Decoder) => Promise<T>) {
  const program = await tiny.engine.compile(
    generationProgram(tiny.graph(adapter), { maxLength: 64 }),
  );
  const { numLayers, numKeyValueHeads, headDim, vocabularySize } = tiny.config;
  const parameters = adapter ? views(adapter.parameters.slots, adapter.parameters.values) : {};
  const sizes = { numLayers, numKeyValueHeads, headDim, vocabularySize };
  try {
    return await use({ program, parameters, ...sizes });
  } finally {
    await program.close();
  }
}

const generate = (
  prompts: readonly (readonly number[])[],
  options: { newTokens: number; adapter?: Adapter; stopIds?: number[] },
) =>
  withDecoder(options.adapter, async (decoder) => {
    const added: number[][] = prompts.map(() => []);
    const longest = Math.max(...prompts.map((prompt) => prompt.length));
    for await (const ids of generateTokens(decoder, prompts, {
      maxLength: longest + options.newTokens,
      sampler: greedy(),
      stopIds: options.stopIds ?? [],
    })) {
      ids.forEach((id, row) => {
        if (id !== undefined) added[row]!.push(id);
      });
    }
    return added;
  });

describe("greedy generation", () => {
  test.each([
    ["base", undefined],
    ["base_long_prompt", undefined],
    ["lora_qv", "qv"],
    ["lora_all", "all"],
  ] as const)("%s: the tokens of Transformers", async (key, which) => {
    const { prompt, new_tokens: wanted } = tiny.expected.generate[key];
    const options = { newTokens: wanted.length, ...(which && { adapter: tiny.adapter(which) }) };
    expect(await generate([prompt], options)).toEqual([wanted]);
  });

  test("prompts of different lengths in one batch: the tokens of Transformers, padded on the left", async () => {
    const { prompts, mask, new_tokens: wanted } = tiny.expected.generate.base_left_padded_batch;
    const real = prompts.map((ids: number[], row: number) =>
      ids.filter((_, i) => mask[row][i] === 1),
    );
    expect(real[0].length).toBeLessThan(real[1].length);
    const added = await generate(real, { newTokens: wanted[1].length });
    expect(added[1]).toEqual(wanted[1]);
    // Facet counts a row's own tokens: the shorter prompt may get more.
    expect(added[0]!.slice(0, wanted[0].length)).toEqual(wanted[0]);
  });

  test("a row ends at a stop id, which is given too, or at the maximum length; others go on", async () => {
    const { prompt, new_tokens: all } = tiny.expected.generate.base;
    const [added] = await generate([prompt], { newTokens: 24, stopIds: [all[3]] });
    expect(added).toEqual(all.slice(0, all.indexOf(all[3]) + 1));
    const short = prompt.slice(0, 3);
    const [first, second] = await generate([prompt, short], { newTokens: 2 });
    expect(first).toHaveLength(2);
    expect(second).toHaveLength(2 + prompt.length - short.length);
  });

  test("a prompt that fills the maximum length gets nothing, one without tokens is refused", async () => {
    expect(await generate([[2, 45, 301]], { newTokens: 0 })).toEqual([[]]);
    await expect(generate([[2], []], { newTokens: 1 })).rejects.toThrow("A prompt has no tokens.");
  });
});

describe("the key/value cache", () => {
  const ids = [...tiny.truth.tensor("nopad/input_ids").data.subarray(0, 20)];
  const logitsOf20 = tiny.truth.tensor("nopad/logits").data.subarray(0, 20 * 512);

  /** Logits of every position when the tokens come in pieces of these lengths. */
  async function inPieces(program: Executable, pieces: readonly number[]): Promise<number[]> {
    const cache = openCache(tiny.config, 1);
    const logits: number[] = [];
    let done = 0;
    for (const length of pieces) {
      const row = (from: number, to: number) => ({
        data: Int32Array.from({ length: to - from }, (_, i) => from + i),
        shape: [1, to - from],
      });
      const outputs = await program.run({
        ids: { data: Int32Array.from(ids.slice(done, done + length)), shape: [1, length] },
        positions: row(done, done + length),
        keyPositions: {
          data: Int32Array.from({ length: cache.capacity + length }, (_, i) => {
            if (i >= cache.capacity) return done + i - cache.capacity;
            return i < done ? i : 2 ** 31 - 1;
          }),
          shape: [1, cache.capacity + length],
        },
        rows: { data: Int32Array.from({ length }, (_, i) => i), shape: [length] },
        ...cache.inputs(),
      });
      cache.append(outputs);
      logits.push(...outputs.logits!.data);
      done += length;
    }
    return logits;
  }

  test.each([[[20]], [[7, 13]], [[5, 3, 1, 1, 10]], [Array(20).fill(1)]])(
    "tokens in pieces of %j give the logits of all at once",
    async (pieces) => {
      const logits = await withDecoder(undefined, ({ program }) => inPieces(program, pieces));
      expect(largestDifference(logits, logitsOf20)).toBeLessThan(2e-5);
    },
  );
});
