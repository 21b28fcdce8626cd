import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeBatch } from "../../src/data/batches.js";
import { frameExample } from "../../src/data/examples.js";
import { encodeSegments } from "../../src/tokenizers/segments.js";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";

interface Case {
  text: string;
  raw_ids: number[];
  sequence_length: number;
  token_ids: number[];
  y: number[];
  sample_weight: number[];
}

const fixture = (path: string) => new URL(`../fixtures/${path}`, import.meta.url).pathname;
const cases: Case[] = JSON.parse(
  readFileSync(fixture("keras_gemma1_tiny/preprocess.json"), "utf8"),
).cases.filter((c: Partial<Case>) => c.text !== undefined);

describe("KerasHub's GemmaCausalLMPreprocessor", () => {
  const tokenizer = loadSentencePiece(fixture("tok512/tokenizer.model"));

  it("has cases in the fixture", () => {
    expect(cases).toHaveLength(18);
  });

  it.each(cases)("$sequence_length ids of $text", (expected) => {
    const encoded = encodeSegments([{ text: expected.text, target: true }], tokenizer);
    expect(encoded.ids).toEqual(expected.raw_ids);
    const length = expected.sequence_length;
    const example = frameExample(encoded, tokenizer, length, 1);
    // Facet pads to the longest row of the batch, Keras to the sequence length: a row of that length makes them equal.
    const full = frameExample(
      { ids: Array(length).fill(9), isTarget: Array(length).fill(1) },
      tokenizer,
      length,
      2,
    );
    const batch = makeBatch([example, full], [0, 1], tokenizer.padId);
    expect(batch.length).toBe(length);
    expect([...batch.ids.subarray(0, length)]).toEqual(expected.token_ids);
    expect([...batch.targets.subarray(0, length)]).toEqual(expected.y);
    expect([...batch.weights.subarray(0, length)]).toEqual(expected.sample_weight);
  });
});
