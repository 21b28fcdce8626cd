import { type Metric, one } from "./metric.js";
import type { Answer } from "./rows.js";

/** Unicode's composed form, with each run of white space as one space, and none at the ends. */
const settled = (text: string) => text.normalize("NFC").trim().replace(/\s+/gu, " ");

/**
 * Whether two texts are the same but for white space. Case, punctuation and articles count, unlike in SQuAD's
 * measure: an answer may be code or a label.
 */
export const isExactMatch = (reference: string, text: string): boolean =>
  settled(reference) === settled(text);

export const exactMatch: Metric<Answer> = {
  key: "exact_match",
  label: "Exact match",
  meaning: "answers equal to the row's own, white space aside; higher is better",
  better: "higher",
  shown: "percent",
  part: ({ reference, text }) => one(isExactMatch(reference, text)),
};
