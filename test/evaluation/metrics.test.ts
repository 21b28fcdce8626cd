import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { columnsOf, overallValue } from "../../src/evaluation/bootstrap.js";
import {
  choiceAccuracy,
  choiceAccuracyNormalized,
  likeliestChoice,
  likeliestPerCharacter,
} from "../../src/evaluation/choiceAccuracy.js";
import { isExactMatch } from "../../src/evaluation/exactMatch.js";
import { answerMetrics, tokenMetrics } from "../../src/evaluation/metrics.js";
import { longestCommonSubsequence, rougeLScore } from "../../src/evaluation/rougeL.js";

describe("loss, perplexity and accuracy", () => {
  it("count every token the same, whatever row it is in", () => {
    const rows = [
      { loss: 8, correct: 1, tokens: 4 },
      { loss: 1, correct: 2, tokens: 2 },
    ];
    const values = columnsOf(tokenMetrics, rows).map(overallValue);
    expect(values).toEqual([9 / 6, Math.exp(9 / 6), 3 / 6]);
  });
});

describe("rougeLScore", () => {
  // The examples of Lin 2004, section 3.1.
  it.each([
    ["police kill the gunman", 3 / 4],
    ["the gunman kill police", 2 / 4],
    ["the gunman police killed", 2 / 4],
  ])("of %j is what the paper says", (text, expected) => {
    const score = rougeLScore("police killed the gunman", text);
    expect(score).toEqual({ precision: expected, recall: expected, f1: expected });
  });

  // The values that google-research's rouge_score has in its tests.
  it.each([
    ["testing one two", "testing", 1, 1 / 3, 1 / 2],
    ["testing one two", "Testing, ONE; two!", 1, 1, 1],
    ["testing one two", "", 0, 0, 0],
    ["", "testing", 0, 0, 0],
    ["", "", 0, 0, 0],
  ])("of %j and %j", (reference, text, precision, recall, f1) => {
    expect(rougeLScore(reference, text)).toEqual({ precision, recall, f1 });
  });

  it("has words in every script", () => {
    expect(rougeLScore("Привет, мир", "мир").recall).toBe(1 / 2);
    expect(rougeLScore("naïve café", "naïve").recall).toBe(1 / 2);
  });

  it("finds the longest of all common subsequences", () => {
    const word = fc.constantFrom("a", "b", "c");
    const words = fc.array(word, { maxLength: 8 });
    /** By trying every subset of a. */
    const slow = (a: string[], b: string[]) =>
      Math.max(
        ...Array.from({ length: 2 ** a.length }, (_, subset) => {
          const chosen = a.filter((_, i) => subset & (1 << i));
          let found = 0;
          for (const each of b) if (each === chosen[found]) found += 1;
          return found === chosen.length ? chosen.length : 0;
        }),
      );
    fc.assert(
      fc.property(words, words, (a, b) => {
        expect(longestCommonSubsequence(a, b)).toBe(slow(a, b));
      }),
    );
  });
});

describe("isExactMatch", () => {
  it.each([
    ["Paris", " Paris\n", true],
    ["two  words", "two words", true],
    ["cafe\u0301", "café", true],
    ["Paris", "paris", false],
    ["Paris", "Paris.", false],
    ["", "", true],
  ])("of %j and %j is %j", (reference, text, expected) => {
    expect(isExactMatch(reference, text)).toBe(expected);
  });
});

describe("metrics of answers", () => {
  it("are means over the answers, but for the ratio of lengths", () => {
    const answers = [
      { reference: "a b", text: "a b", finish: "stop", tokens: 3, referenceTokens: 3 },
      { reference: "a b", text: "a c d e", finish: "length", tokens: 9, referenceTokens: 5 },
    ] as const;
    const columns = columnsOf(answerMetrics, answers);
    expect(Object.fromEntries(columns.map((c) => [c.metric.key, overallValue(c)]))).toEqual({
      stop_rate: 0.5,
      exact_match: 0.5,
      rouge_l: (1 + 1 / 3) / 2,
      answer_length: 6,
      length_ratio: 12 / 8,
    });
  });
});

describe("right choices", () => {
  // Two characters at -2 each against eight at -1: what is likeliest depends on the length.
  const row = { logProbabilities: [-4, -8, -9], lengths: [2, 8, 3], answer: 1 };

  it("go by the log-probability, or by that per character", () => {
    expect([likeliestChoice(row), likeliestPerCharacter(row)]).toEqual([0, 1]);
    expect(choiceAccuracy.part(row)).toEqual({ sum: 0, weight: 1 });
    expect(choiceAccuracyNormalized.part(row)).toEqual({ sum: 1, weight: 1 });
  });

  it("are the first of several that are equal", () => {
    expect(likeliestChoice({ ...row, logProbabilities: [-2, -1, -1] })).toBe(1);
  });
});
