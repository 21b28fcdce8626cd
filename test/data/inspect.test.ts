import { describe, expect, it } from "vitest";
import { prepareExamples } from "../../src/data/examples.js";
import { inspectPrepared, shownTokens } from "../../src/data/inspect.js";
import { parseTemplate } from "../../src/data/templates.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { rowOf } from "./rowOf.js";

const tokenizer = byteTokenizer();
const prepared = prepareExamples(
  [rowOf({ q: "a", a: "b" }), rowOf({ q: "abcdefgh", a: "xyz" }, 2)],
  {
    template: parseTemplate("{q}:{a}"),
    tokenizer,
    sequenceLength: 10,
    targets: "completion",
  },
);

describe("shownTokens", () => {
  it("shows an example token by token with its targets", () => {
    expect(shownTokens(prepared.examples[0]!, tokenizer)).toEqual([
      { id: 2, piece: "<bos>", target: false },
      { id: 103, piece: "a", target: false },
      { id: 64, piece: ":", target: false },
      { id: 104, piece: "b", target: true },
      { id: 1, piece: "<eos>", target: true },
    ]);
  });
});

describe("inspectPrepared", () => {
  it("gives the shares of targets and of padding, and the lengths before truncation", () => {
    // Row 2 is cut to 9 text ids: its completion is gone, so it was dropped.
    const { report, histogram, targetShare, paddingShare } = inspectPrepared(prepared, 10);
    expect(report.dropped).toEqual({ "no target": [{ file: "rows.jsonl", line: 2 }] });
    expect(histogram).toEqual([{ from: 1, to: 16, count: 1 }]);
    expect(targetShare).toBe(2 / 4);
    expect(paddingShare).toBeCloseTo(1 - 4 / 10, 12);
  });
});
