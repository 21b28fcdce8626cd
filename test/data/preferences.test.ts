import { describe, expect, it } from "vitest";
import { loadDataset } from "../../src/data/dataset.js";
import { families } from "../../src/models/gemma/family.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const tokenizer = byteTokenizer();
const write = fileWriter(temporaryFolder());
const load = (
  rows: readonly object[],
  options: { template?: string; sequenceLength?: number } = {},
) =>
  loadDataset({
    ...{ sets: [[write(rows.map((row) => JSON.stringify(row)).join("\n"))]], tokenizer },
    ...{ spill: { folder: "unused", bytes: 2 ** 20 }, targets: "completion", preferences: true },
    ...{ sequenceLength: 64, chatTemplate: families.gemma.chatTemplate, ...options },
  });
const texts = (examples: Iterable<{ ids: Int32Array }>) =>
  Array.from(examples, ({ ids }) => tokenizer.decode(ids));
const learned = (examples: Iterable<{ ids: Int32Array; isTarget: Uint8Array }>) =>
  Array.from(examples, ({ ids, isTarget }) =>
    tokenizer.decode(ids.filter((_, i) => isTarget[i] === 1)),
  );

describe("preferences", () => {
  it("become two examples each, with the same prompt", async () => {
    const { train } = await load([
      { prompt: "One? ", chosen: "1", rejected: "2" },
      { prompt: "Two? ", chosen: "2", rejected: "none" },
    ]);
    expect(texts(train.examples)).toEqual(["One? 1", "Two? 2"]);
    expect(texts(train.rejected!)).toEqual(["One? 2", "Two? none"]);
    expect(learned(train.rejected!)).toEqual(["2", "none"]);
    expect(train.report).toMatchObject({ kept: 2, targetTokens: 3 * 2 + 5, unusedFields: {} });
  });

  it("are left out whole when one of the answers cannot be used", async () => {
    const good = { prompt: "p", chosen: "a", rejected: "b" };
    const { train } = await load([
      good,
      { ...good, chosen: " " },
      { ...good, rejected: "" },
      { ...good, rejected: "a" },
      { prompt: "p", chosen: "a" },
      { ...good, prompt: "p".repeat(70) },
    ]);
    expect([train.examples.length, train.rejected!.length]).toEqual([1, 1]);
    const lines = Object.entries(train.report.dropped).map(([reason, at]) => [
      reason,
      at.map(({ line }) => line),
    ]);
    expect(Object.fromEntries(lines)).toEqual({
      ...{ "empty response": [2, 3], "equal answers": [4], "missing field": [5] },
      "no target": [6],
    });
  });

  it("may be conversations, with the prompt in them or before them", async () => {
    const turn = (role: string, content: string) => ({ role, content });
    const [asked, good, bad] = [
      turn("user", "Hi"),
      turn("assistant", "Hello"),
      turn("assistant", "No"),
    ];
    const rows = [
      { chosen: [asked, good], rejected: [asked, bad] },
      { prompt: [asked], chosen: [good], rejected: [bad] },
      { prompt: "Hi", chosen: [good], rejected: [bad] },
    ];
    const { train } = await load(rows);
    expect(train.report.kept).toBe(3);
    expect(new Set(texts(train.examples))).toEqual(new Set(["user\nHi\nmodel\nHello\n"]));
    expect(learned(train.examples)).toEqual(Array(3).fill("Hello\n"));
    expect(learned(train.rejected!)).toEqual(Array(3).fill("No\n"));
  });

  it("go through any template that names the chosen answer", async () => {
    const rows = [{ prompt: "p", chosen: "a", rejected: "b", note: "n" }];
    const { train } = await load(rows, { template: "{note}: {prompt}={chosen}" });
    expect([texts(train.examples), texts(train.rejected!)]).toEqual([["n: p=a"], ["n: p=b"]]);
  });
});
