import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { locateData } from "../../src/hub/locateData.js";
import { startHub } from "../support/hub.js";
import { temporaryFolder } from "../support/modelFolder.js";

const rows = '{"instruction": "Say hi", "response": "Hi"}\n';

describe("the files of a data set are", () => {
  it("those of its repository", async () => {
    const { server, home } = await startHub();
    server.publish("datasets/databricks/databricks-dolly-15k", {
      ".gitattributes": "",
      "README.md": "# Dolly",
      "databricks-dolly-15k.jsonl": { bytes: Buffer.from(rows), large: true },
    });
    const names = [
      "databricks/databricks-dolly-15k",
      "hf://datasets/databricks/databricks-dolly-15k",
      "hf://datasets/databricks/databricks-dolly-15k/databricks-dolly-15k.jsonl",
    ];
    for (const name of names) {
      const [file, ...others] = await locateData(name);
      expect(others).toEqual([]);
      expect(readFileSync(file!, "utf8")).toBe(rows);
      expect(file).toContain(
        join(home, "huggingface/hub/datasets--databricks--databricks-dolly-15k/snapshots"),
      );
    }
    expect(server.asked.some(({ path }) => path.endsWith("README.md"))).toBe(false);
  });

  it.each([
    [
      "those for training",
      ["data/train-1.parquet", "data/test-0.parquet", "data/train-0.parquet"],
      ["data/train-0.parquet", "data/train-1.parquet"],
    ],
    [
      "all but those for testing",
      ["a.csv.gz", "b.csv.gz", "validation.csv.gz"],
      ["a.csv.gz", "b.csv.gz"],
    ],
    ["the only ones", ["test.jsonl", "dataset_infos.json"], ["test.jsonl"]],
  ])("%s, in order", async (_, published, expected) => {
    const { server } = await startHub();
    server.publish("datasets/some/rows", Object.fromEntries(published.map((path) => [path, path])));
    const files = await locateData("some/rows");
    expect(files.map((file) => readFileSync(file, "utf8"))).toEqual(expected);
  });

  it("a file of the web", async () => {
    const { server } = await startHub();
    server.serve("/rows.jsonl", rows);
    const [file] = await locateData(`${server.url}/rows.jsonl`);
    expect(readFileSync(file!, "utf8")).toBe(rows);
  });

  it("a path as it is given, whether something is there or not", async () => {
    const { server } = await startHub();
    const folder = temporaryFolder();
    for (const path of [folder, "data/missing.jsonl", "./missing", "missing.csv"]) {
      expect(await locateData(path)).toEqual([path]);
    }
    expect(server.asked).toEqual([]);
  });
});

describe("an error says what to do for", () => {
  it("a repository with files of several kinds, or with none", async () => {
    const { server } = await startHub();
    server.publish("datasets/some/mixed", { "a.csv": "", "a.parquet": "" });
    server.publish("datasets/some/images", { "a.png": "" });
    await expect(locateData("some/mixed")).rejects.toThrow(
      /several kinds: a\.csv, a\.parquet\. Name one/,
    );
    await expect(locateData("some/images")).rejects.toThrow(/no data file .* It has a\.png/);
  });

  it.each(["kaggle://keras/gemma/keras/gemma_2b_en/3", "hf://models/google/gemma-2b"])(
    "a model: %s",
    async (name) => {
      await startHub();
      await expect(locateData(name)).rejects.toThrow(/is a model, not a data set/);
    },
  );

  it("a data set that does not exist", async () => {
    await startHub();
    await expect(locateData("some/missing")).rejects.toThrow(
      /There is no data set .*datasets\/some\/missing/,
    );
  });
});
