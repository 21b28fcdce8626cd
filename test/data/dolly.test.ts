import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { dataRows } from "../../src/data/dataFiles.js";
import { loadDataset } from "../../src/data/dataset.js";
import { filterRows } from "../../src/data/filters.js";
import { inspectPrepared } from "../../src/data/inspect.js";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";
import { collected } from "../support/collected.js";

const shared = process.env.FACET_SHARED ?? new URL("../../../shared", import.meta.url).pathname;
const path = `${shared}/data/databricks-dolly-15k.jsonl`;
const model = `${shared}/data/gemma/tokenizer.model`;
// Of the file at Hugging Face, revision bdd27f4d94b9c1f951818a7da7fd7aeea5dbff1a.
const PUBLISHED_SHA256 = "2df9083338b4abd6bceb5635764dab5d833b393b55759dffb0959b6fcbf794ec";
const present = existsSync(path) && existsSync(model);
if (!present) console.log(`Not tested: the Dolly facts need ${path} and ${model}.`);

describe.skipIf(!present)("the Keras tutorial's rows of databricks-dolly-15k", () => {
  const load = async (sequenceLength: number) =>
    loadDataset({
      sets: [[path]],
      spill: { folder: "unused", bytes: 2 ** 28 },
      tokenizer: loadSentencePiece(model),
      sequenceLength,
      filters: ["no-context"],
      limit: 1000,
    });

  it("10,544 rows have no context; the first 1,000 end at line 1,397", async () => {
    const rows = filterRows(await collected(dataRows([path])), ["no-context"]);
    expect(rows).toHaveLength(10_544);
    expect(rows[999]?.line).toBe(1397);
  });

  it("have 104,324 targets at 512, and lengths of mean 107.25, median 79.5, at most 992", async () => {
    const { train, sha256 } = await load(512);
    const { report } = train;
    expect(sha256).toBe(PUBLISHED_SHA256);
    expect(report).toMatchObject({ kept: 1000, dropped: {}, targetTokens: 104_324 });
    expect(report.lengths).toMatchObject({ total: 105_254 + 2000, median: 79.5, max: 992 });
    expect(report.lengths.mean).toBeCloseTo(107.25, 2);
    // reference.md: 79.6 % of what Keras computes on these rows is padding.
    expect(inspectPrepared(train, 512).paddingShare).toBeCloseTo(0.796, 3);
  });

  it("have 96,585 targets at 256", async () => {
    expect((await load(256)).train.report.targetTokens).toBe(96_585);
  });
});
