import { type Metric, one } from "./metric.js";
import type { Answer } from "./rows.js";

export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  /** Their harmonic mean. */
  readonly f1: number;
}

/**
 * Lower-case runs of letters, marks and digits. On English text these are the tokens of Google's rouge_score without
 * stemming, which takes a to z and digits only; other scripts have words here too.
 */
export const rougeWords = (text: string): string[] =>
  text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];

/**
 * ROUGE-L of two texts, each taken as one sequence of words: with L the length of the longest common subsequence,
 * recall L / words of the reference, precision L / words of the text. Lin: "ROUGE: a package for automatic evaluation
 * of summaries", 2004, section 3, with β = 1. A text without words scores 0.
 */
export function rougeLScore(reference: string, text: string): RougeScore {
  const [expected, given] = [rougeWords(reference), rougeWords(text)];
  const common = longestCommonSubsequence(expected, given);
  if (common === 0) return { precision: 0, recall: 0, f1: 0 };
  const [precision, recall] = [common / given.length, common / expected.length];
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall) };
}

/** The length of the longest sequence that both hold in order, gaps allowed; time |a| · |b|, memory |b|. */
export function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  const lengths = new Uint32Array(b.length + 1);
  for (const word of a) {
    let diagonal = 0;
    for (let j = 1; j <= b.length; j++) {
      const above = lengths[j]!;
      lengths[j] = word === b[j - 1] ? diagonal + 1 : Math.max(above, lengths[j - 1]!);
      diagonal = above;
    }
  }
  return lengths[b.length]!;
}

export const rougeL: Metric<Answer> = {
  key: "rouge_l",
  label: "ROUGE-L",
  meaning: "words shared with the row's own answer, in order (F1); higher is better",
  better: "higher",
  shown: "percent",
  part: ({ reference, text }) => one(rougeLScore(reference, text).f1),
};
