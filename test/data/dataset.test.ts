import { describe, expect, it } from "vitest";
import { loadDataset } from "../../src/data/dataset.js";
import { fileDigest } from "../../src/data/digest.js";
import { fileOf } from "../../src/data/prepareReport.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const path = fileWriter(temporaryFolder())(
  Array.from({ length: 100 }, (_, i) =>
    JSON.stringify({ instruction: `q${i}`, response: `a${i}`, context: i % 2 ? "c" : "" }),
  ).join("\n"),
);
const spill = { folder: temporaryFolder(), bytes: 2 ** 20 };
const base = { sets: [[path]], spill, tokenizer: byteTokenizer(), sequenceLength: 64 };

describe("loadDataset", () => {
  it("filters, then limits, then splits", async () => {
    const data = await loadDataset({
      ...base,
      filters: ["no-context"],
      limit: 40,
      validationSplit: 0.25,
    });
    const lines = [...data.train.examples, ...data.validation!.examples].map((e) => e.line);
    expect(lines.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => 2 * i + 1));
    expect(data.template.name).toBe("tutorial");
    expect(data.sha256).toBe(await fileDigest(path));
  });

  it("uses all rows for training by default", async () => {
    const data = await loadDataset(base);
    expect(data.train.examples).toHaveLength(100);
    expect(data.validation).toBeUndefined();
    expect(data.train.report.unusedFields).toEqual({ context: 50 });
  });

  it("passes template, targets and overlong on", async () => {
    const options = { ...base, template: "{instruction} {response}", sequenceLength: 6 };
    const data = await loadDataset({ ...options, targets: "completion", overlong: "drop" });
    expect(data.train.report).toMatchObject({ kept: 10, truncated: 0, targetTokens: 10 * 3 });
    expect(data.train.report.dropped["too long"]).toHaveLength(90);
  });

  it("reads several data sets, each with its own columns and template", async () => {
    const write = fileWriter(temporaryFolder());
    const rows = (count: number, make: (i: number) => object) =>
      Array.from({ length: count }, (_, i) => JSON.stringify(make(i))).join("\n");
    const faq = write(rows(5, (i) => ({ question: `q${i}`, answer: i === 3 ? "" : `a${i}` })));
    const texts = write(rows(4, (i) => ({ text: `t${i}` })));
    const more = write(rows(2, (i) => ({ text: `u${i}` })));
    const columns = ["instruction=question,response=answer"];
    const asked = loadDataset({ ...base, sets: [[faq], [texts]], columns });
    await expect(asked).rejects.toThrow(/Unknown column "question". Known: text/);
    const renamed = await loadDataset({ ...base, sets: [[faq], [path]], columns });
    expect(renamed.counts).toEqual([4, 100]);
    expect(renamed.train.report.dropped).toEqual({ "empty response": [{ file: faq, line: 4 }] });
    const mixed = await loadDataset({ ...base, sets: [[path], [texts, more]], limit: 5 });
    expect(mixed.counts).toEqual([5, 5]);
    expect(mixed.template.name).toBe("tutorial");
    const decoded = [...mixed.train.examples].map(({ ids }) => base.tokenizer.decode(ids));
    expect(decoded[0]).toBe("Instruction:\nq0\n\nResponse:\na0");
    expect(decoded.slice(5)).toEqual(["t0", "t1", "t2", "t3", "u0"]);
    expect(mixed.train.report.files).toEqual([
      { file: path, kept: 5 },
      { file: texts, kept: 4 },
      { file: more, kept: 1 },
    ]);
    expect([0, 4, 5, 9].map((i) => fileOf(mixed.train.report, i))).toEqual([
      path,
      path,
      texts,
      more,
    ]);
  });

  it.each([0, -1, 1.5])("refuses the limit %d", async (limit) => {
    await expect(loadDataset({ ...base, limit })).rejects.toThrow(/whole number from 1/);
  });
});
