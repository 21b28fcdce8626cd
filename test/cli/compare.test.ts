import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseMarkup } from "../report/markup.js";
import { runFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
writeRows(
  join(folder, "arc.jsonl"),
  Array.from({ length: 6 }, (_, i) => ({
    question: `What is ${i} and 1?`,
    choices: { text: [String(i + 1), "a tree", "nothing at all"], label: ["A", "B", "C"] },
    answerKey: "A",
  })),
);
const run = (...args: string[]) => runFacet(["compare", "tiny", ...args], folder);
const few = ["--answers", "3", "--answer-length", "8"];

describe.concurrent("facet compare", () => {
  it("gives the numbers that evaluate gives, and paired differences", async () => {
    const rows = ["--data", "rows.jsonl", "--limit", "12", "--task", "arc.jsonl", ...few];
    const { code, stdout } = await run("peft", ...rows, "--json");
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    const evaluated = async (...more: string[]) =>
      JSON.parse(
        (await runFacet(["evaluate", "--model", "tiny", ...rows, ...more, "--json"], folder))
          .stdout,
      );
    const [alone, tuned] = [await evaluated(), await evaluated("--adapter", "peft")];
    const [model] = result.models;
    for (const key of ["loss", "perplexity", "accuracy", "rouge_l", "arc.acc", "arc.acc_norm"]) {
      for (const bound of ["value", "low", "high"]) {
        expect(result.metrics[key][bound], key).toBeCloseTo(alone.metrics[key][bound], 4);
        expect(model.metrics[key][bound], key).toBeCloseTo(tuned.metrics[key][bound], 4);
      }
      const { difference, low, high } = model.changes[key];
      expect(difference).toBeCloseTo(tuned.metrics[key].value - alone.metrics[key].value, 4);
      expect(low).toBeLessThanOrEqual(difference);
      expect(high).toBeGreaterThanOrEqual(difference);
    }
    expect(result.answers).toHaveLength(3);
    expect(result.answers[0].answers.map((a: { answer: string }) => a.answer)).toEqual([
      alone.answers[0].answer,
      tuned.answers[0].answer,
    ]);
    expect(model.harmed_rows.of).toBe(12);
    for (const { before, after } of model.harmed_rows.worst) expect(after).toBeGreaterThan(before);
  });

  it("says plainly what got worse, and writes a report", async () => {
    const { code, stdout } = await run(
      ...["peft", "--data", "rows.jsonl", ...few, "--report", "compared.html"],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^peft against tiny alone\n\n(Worse: |Nothing got worse)/);
    expect(stdout).toMatch(/^Loss +\d+\.\d{4} +\d+\.\d{4} +[+-]?\d+\.\d{4} /m);
    expect(stdout).toMatch(/^The loss rose on \d+ of 40 rows/m);
    const elements = parseMarkup(readFileSync(join(folder, "compared.html"), "utf8"));
    const headings = elements.filter(({ name }) => name === "h2").map(({ text }) => text);
    expect(headings).toEqual([
      "Did anything get worse?",
      "Metrics",
      "Intervals",
      "Loss of each row",
      "Lengths of the answers",
      "Answers",
      "How it was measured",
    ]);
  });

  it("takes an adapter that is named twice once", async () => {
    const { stdout } = await run(
      "peft",
      "peft",
      "--data",
      "rows.jsonl",
      "--answers",
      "0",
      "--json",
    );
    expect(JSON.parse(stdout).models).toHaveLength(1);
  });

  it.each([
    [["peft"], "There is nothing to measure on. Give --data, --task or both."],
    [[], "error: Invalid compare"],
    [["nowhere", "--data", "rows.jsonl"], "nowhere"],
    [["peft", "--data", "rows.jsonl", "--confidence", "1"], "Invalid --confidence"],
    [["peft", "--task", "rows.jsonl"], "rows.jsonl, line 1: not a multiple-choice question"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
