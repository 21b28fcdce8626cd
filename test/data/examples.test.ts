import { describe, expect, it } from "vitest";
import { frameExample, prepareExamples, targetCount } from "../../src/data/examples.js";
import { requireTargets } from "../../src/data/prepareReport.js";
import { parseTemplate } from "../../src/data/templates.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { rowOf } from "./rowOf.js";

const tokenizer = byteTokenizer();
const BOS = tokenizer.bosId;
const EOS = tokenizer.eosId;
const template = parseTemplate("{q}>{a}");
const at = (line: number) => ({ file: "rows.jsonl", line });
const rows = [
  rowOf({ q: "why", a: "so" }, 1),
  rowOf({ q: "why" }, 2),
  rowOf({ q: "why", a: " \n" }, 4),
  rowOf({ q: "a long question", a: "yes" }, 5),
];

describe("frameExample", () => {
  const encoded = { ids: [10, 11, 12], isTarget: [0, 1, 1] };

  it("puts start and end token around the text; the start token is no target, the end token is", () => {
    const example = frameExample(encoded, tokenizer, 8, 3);
    expect([...example.ids]).toEqual([BOS, 10, 11, 12, EOS]);
    expect([...example.isTarget]).toEqual([0, 0, 1, 1, 1]);
    expect(example).toMatchObject({ line: 3, truncated: 0 });
  });

  it("keeps L − 1 ids of the text, and still ends in the end token", () => {
    const example = frameExample(encoded, tokenizer, 3, 1);
    expect([...example.ids]).toEqual([BOS, 10, 11, EOS]);
    expect([...example.isTarget]).toEqual([0, 0, 1, 1]);
    expect(example.truncated).toBe(1);
    expect(frameExample(encoded, tokenizer, 4, 1).truncated).toBe(0);
  });
});

describe("requireTargets", () => {
  const reportOf = (q: string) =>
    prepareExamples([rowOf({ q, a: "so" })], {
      ...{ template, tokenizer, sequenceLength: 1000, targets: "completion" },
    }).report;

  it("refuses rows of which less than 1 % is to be learned", () => {
    // Start token, question, ">", "so", end token: three targets.
    expect(() => requireTargets(reportOf("q".repeat(296)))).not.toThrow();
    expect(() => requireTargets(reportOf("q".repeat(297)))).toThrow(
      /Only 3 of 301 tokens are targets, less than 1 %/,
    );
  });
});

describe("prepareExamples", () => {
  it("counts what it drops by reason and line, and what it truncates", () => {
    const { examples, report } = prepareExamples(rows, { template, tokenizer, sequenceLength: 12 });
    expect(examples.map((example) => example.line)).toEqual([1, 5]);
    expect(report).toEqual({
      rows: 4,
      kept: 2,
      files: [{ file: "rows.jsonl", kept: 2 }],
      dropped: { "missing field": [at(2)], "empty response": [at(4)] },
      truncated: 1,
      lengths: { count: 2, total: 29, min: 8, mean: 14.5, median: 14.5, p95: 21, max: 21 },
      inputTokens: 7 + 12,
      targetTokens: 7 + 12,
      spelledMarkers: [],
      unusedFields: {},
    });
  });

  it("drops overlong rows when told so", () => {
    const options = { template, tokenizer, sequenceLength: 12, overlong: "drop" } as const;
    const { examples, report } = prepareExamples(rows, options);
    expect(examples.map((example) => example.line)).toEqual([1]);
    expect(report.dropped["too long"]).toEqual([at(5)]);
    expect(report.truncated).toBe(0);
  });

  it("with completion targets, drops a row whose completion was cut off whole", () => {
    const options = { template, tokenizer, sequenceLength: 17, targets: "completion" } as const;
    expect(prepareExamples(rows, options).report.dropped["no target"]).toEqual([at(5)]);
    const longer = prepareExamples(rows, { ...options, sequenceLength: 18 });
    expect(longer.report.dropped["no target"]).toBeUndefined();
    expect(longer.examples.map(targetCount)).toEqual([3, 2]);
  });

  it("cuts the beginning of the prompt, and drops a row whose completion does not fit", () => {
    const options = { template, tokenizer, overlong: "cut-prompt-left" } as const;
    for (const targets of ["completion", "all"] as const) {
      const { examples, report } = prepareExamples(rows, {
        ...options,
        sequenceLength: 12,
        targets,
      });
      expect(tokenizer.decode(examples[1]!.ids)).toBe("uestion>yes");
      expect(examples[1]).toMatchObject({ line: 5, truncated: 8 });
      expect([examples[1]!.ids.length, examples[1]!.isTarget.at(-1)]).toEqual([13, 1]);
      expect(report.truncated).toBe(1);
    }
    const short = prepareExamples(rows, { ...options, sequenceLength: 3, targets: "completion" });
    expect(short.report.dropped["too long"]).toEqual([at(5)]);
  });

  it("reports fields that hold something but are not used, and turn markers in the data", () => {
    const extra = [
      rowOf({ q: "q", a: "a", context: "passage", category: "" }, 1),
      rowOf({ q: "q", a: "<end_of_turn>" }, 2),
    ];
    const { report } = prepareExamples(extra, { template, tokenizer, sequenceLength: 64 });
    expect(report.unusedFields).toEqual({ context: 1 });
    expect(report.spelledMarkers).toEqual([at(2)]);
  });

  it("says how many rows were dropped, and why, when none is left", () => {
    expect(() =>
      prepareExamples(rows.slice(1, 3), { template, tokenizer, sequenceLength: 12 }),
    ).toThrow(
      /all 2 were dropped: 1 missing field \(first at line 2 of rows.jsonl\), 1 empty response \(first at line 4 of rows.jsonl\)/,
    );
    expect(() => prepareExamples([], { template, tokenizer, sequenceLength: 12 })).toThrow(
      /no rows/,
    );
  });

  it("names file and line of a needed field that holds no text", () => {
    const row = { file: "d.jsonl", line: 7, fields: { q: "q" }, nonText: { a: 5 } };
    expect(() => prepareExamples([row], { template, tokenizer, sequenceLength: 12 })).toThrow(
      /d.jsonl, line 7: field "a" is a number/,
    );
  });

  it.each([0, 1, 2.5, Number.NaN])("refuses the sequence length %d", (sequenceLength) => {
    expect(() => prepareExamples(rows, { template, tokenizer, sequenceLength })).toThrow(
      /whole number from 2/,
    );
  });

  it("refuses unknown choices, as they may come from a command line", () => {
    const options = { template, tokenizer, sequenceLength: 12 };
    expect(() =>
      prepareExamples(rows, { ...options, targets: "completions" as "completion" }),
    ).toThrow(/Did you mean "completion"/);
    expect(() => prepareExamples(rows, { ...options, overlong: "cut" as "drop" })).toThrow(
      /Unknown treatment/,
    );
  });
});
