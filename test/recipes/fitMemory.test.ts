import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { describeModel } from "../../src/hub/openModel.js";
import { finetuneSchema } from "../../src/recipes/finetuneConfig.js";
import {
  fittingWay,
  memoryOf,
  type Planned,
  parseSize,
  weightsToTry,
} from "../../src/recipes/fitMemory.js";
import { prepare } from "../../src/recipes/prepare.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";

test.each([
  ["8GiB", 8 * 2 ** 30],
  ["512 MiB", 512 * 2 ** 20],
  ["6.5GB", 6.5e9],
  ["2g", 2e9],
])("%s is %i bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "8", "GiB", "-1GiB", "0GiB", "8 apples"])("%j is no size", (text) => {
  expect(() => parseSize(text)).toThrow(FacetError);
});

describe("the way that is chosen", async () => {
  const { config } = await describeModel("gemma_2b_en");
  const model = { config, frozen: new Map() };
  const planned: Planned = {
    ...{
      batchSize: 12,
      sequencesInRow: 1,
      longest: 512,
      trainable: 1e6,
      stateBytes: 8e6,
      process: 2e8,
      modules: [],
    },
  };
  const free = { recompute: false };
  const sizeOf = (microBatchSize: number, recompute: boolean) =>
    memoryOf(model, planned, { microBatchSize, recompute }).total;

  test("is the whole batch where it fits", () => {
    expect(fittingWay(model, planned, sizeOf(12, false), free)).toEqual({
      microBatchSize: 12,
      recompute: false,
    });
  });

  test("is the largest half, quarter, … that fits, and then recomputation", () => {
    const way = (bytes: number) => fittingWay(model, planned, bytes, free);
    expect(way(sizeOf(12, false) - 1)).toEqual({ microBatchSize: 6, recompute: false });
    expect(way(sizeOf(3, false))).toEqual({ microBatchSize: 3, recompute: false });
    expect(way(sizeOf(1, false))).toEqual({ microBatchSize: 1, recompute: false });
    expect(way(sizeOf(1, false) - 1)?.recompute).toBe(true);
    expect(way(sizeOf(1, true))).toEqual({ microBatchSize: 1, recompute: true });
    expect(way(sizeOf(1, true) - 1)).toBe(undefined);
  });

  test("keeps what was given", () => {
    const given = { microBatchSize: 2, recompute: true };
    expect(fittingWay(model, planned, 1e15, given)).toEqual(given);
    expect(fittingWay(model, planned, sizeOf(1, true), given)).toBe(undefined);
    expect(weightsToTry("f32", true)).toEqual(["f32"]);
    expect(weightsToTry("auto", true)).toEqual(["auto", "int8", "int4"]);
    expect(weightsToTry("auto", false)).toEqual(["auto"]);
  });
});

describe("--memory", () => {
  function prepared(memory: string) {
    const folder = temporaryFolder();
    const data = join(folder, "rows.jsonl");
    writeFileSync(
      data,
      `${JSON.stringify({ text: "One two three four. ".repeat(12) })}\n`.repeat(3),
    );
    const input = {
      model: tinyModelFolder(),
      data,
      run: join(folder, "run"),
      batchSize: 512,
      sequenceLength: 200,
    };
    return prepare(finetuneSchema.parse({ ...input, memory }));
  }

  test("stands in the configuration as what it chose", async () => {
    const { config } = await prepared("900GiB");
    expect(config).toMatchObject({ microBatchSize: 512, recompute: false, weights: "auto" });
    expect(config).not.toHaveProperty("memory");
    const now = process.memoryUsage.rss();
    const small = await prepared(`${Math.ceil(now / 2 ** 20) + 300}MiB`);
    expect(small.config.microBatchSize).toBeLessThan(512);
  });

  test("that is too small for any way is refused with what is needed", async () => {
    await expect(prepared("1MiB")).rejects.toThrow(
      /The run does not fit into 0\.00 GiB: one row at a time, with recomputation, needs about 0\.\d+ GiB \(weights /,
    );
  });
});
