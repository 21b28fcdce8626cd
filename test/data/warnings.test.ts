import { describe, expect, it } from "vitest";
import type { Duplicate } from "../../src/data/duplicates.js";
import { prepareExamples } from "../../src/data/examples.js";
import { parseTemplate } from "../../src/data/templates.js";
import { textFlaws } from "../../src/data/textFlaws.js";
import { dataWarnings } from "../../src/data/warnings.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { rowOf } from "./rowOf.js";

const tokenizer = byteTokenizer();
const at = (line: number) => ({ file: "rows.jsonl", line });
const nothing = { duplicates: [], flaws: new Map() };
const prepared = (fields: Record<string, string>[], sequenceLength = 400) =>
  prepareExamples(
    fields.map((one, i) => rowOf(one, i + 1)),
    { template: parseTemplate("{q}:{a}"), tokenizer, sequenceLength, targets: "completion" },
  );
const kinds = (...args: Parameters<typeof dataWarnings>) =>
  Object.fromEntries(
    dataWarnings(...args).map(({ kind, places }) => [kind, places.map(({ line }) => line)]),
  );

describe("dataWarnings", () => {
  it("says nothing about rows in which nothing is wrong", () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ q: `q${i}`, a: `a${i}` }));
    expect(dataWarnings(prepared(rows), tokenizer.unkId, nothing)).toEqual([]);
  });

  it("names rows that were dropped or cut, fields that are not used, markers that are spelled", () => {
    const rows = [
      { q: "q", a: "" },
      { q: "q", a: "a".repeat(50) },
      { q: "q", a: "<end_of_turn>", note: "x" },
    ];
    expect(kinds(prepared(rows, 20), tokenizer.unkId, nothing)).toEqual({
      ...{ dropped: [1], truncated: [2], "spelled marker": [3], "unused field": [] },
    });
  });

  it("names rows whose answer is most rows' answer, but not in a handful of rows", () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({
      q: `q${i}`,
      a: i % 5 === 0 ? "yes" : `a${i}`,
    }));
    expect(kinds(prepared(rows), tokenizer.unkId, nothing)).toEqual({
      "same answer": [1, 6, 11, 16, 21, 26],
    });
    expect(kinds(prepared(rows.slice(0, 15)), tokenizer.unkId, nothing)).toEqual({});
  });

  it("says that a run would not start", () => {
    const rows = [{ q: "q".repeat(399), a: "a" }];
    expect(kinds(prepared(rows, 500), tokenizer.unkId, nothing)).toEqual({ "few targets": [] });
  });

  it("tells leaks from duplicates, equal from near, and passes flaws on", () => {
    const pair = (line: number, similarity: number, leak: boolean): Duplicate => ({
      ...{ row: at(line), of: at(1), similarity, leak },
    });
    const duplicates = [
      pair(2, 1, true),
      pair(3, 0.9, true),
      pair(4, 1, false),
      pair(5, 0.85, false),
    ];
    const flaws = new Map([["control characters", [at(6)]]]);
    const found = dataWarnings(prepared([{ q: "q", a: "a" }]), tokenizer.unkId, {
      duplicates,
      flaws,
    });
    expect(found.map(({ kind, places }) => [kind, places[0]!.line])).toEqual([
      ["leak", 2],
      ["near leak", 3],
      ["duplicate", 4],
      ["near duplicate", 5],
      ["text", 6],
    ]);
    expect(found[1]!.message).toContain("line 3 as line 1 (90 %)");
  });

  it("names rows with characters that the tokenizer does not know", () => {
    const { examples, report } = prepared([{ q: "q", a: "a" }]);
    const ids = examples[0]!.ids.slice();
    ids[1] = tokenizer.unkId;
    const unknown = { examples: [{ ...examples[0]!, ids }], report };
    expect(kinds(unknown, tokenizer.unkId, nothing)).toEqual({ unknown: [1] });
  });
});

describe("textFlaws", () => {
  it.each([
    ["caf\uFFFD", "replacement characters, where text was lost"],
    ["a\u0007", "control characters"],
    ["a\u0085b", "control characters"],
    ["cafÃ©", "UTF-8 that was read as another encoding"],
    ["itâ€™s", "UTF-8 that was read as another encoding"],
    ["a &amp; b", "HTML entities"],
  ])("finds them in %j", (text, flaw) => {
    expect(textFlaws(text)).toEqual([flaw]);
  });

  it.each(["café", "tab\tand\r\nlines", "AT&T; R&D", "Ãrvore", "5 < 6 & 7 > 2", "Â"])(
    "finds none in %j",
    (text) => {
      expect(textFlaws(text)).toEqual([]);
    },
  );
});
