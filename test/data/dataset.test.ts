import { describe, expect, it } from "vitest";
import { loadDataset } from "../../src/data/dataset.js";
import { fileDigest } from "../../src/data/digest.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const path = fileWriter(temporaryFolder())(
  Array.from({ length: 100 }, (_, i) =>
    JSON.stringify({ instruction: `q${i}`, response: `a${i}`, context: i % 2 ? "c" : "" }),
  ).join("\n"),
);
const spill = { folder: temporaryFolder(), bytes: 2 ** 20 };
const base = { paths: [path], spill, tokenizer: byteTokenizer(), sequenceLength: 64 };

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

  it.each([0, -1, 1.5])("refuses the limit %d", async (limit) => {
    await expect(loadDataset({ ...base, limit })).rejects.toThrow(/whole number from 1/);
  });
});
