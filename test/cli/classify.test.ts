import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { runFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
const words = { good: "glad and laughed", bad: "furious and shouted" };
const rowsOf = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const mood = i % 2 === 0 ? "good" : "bad";
    return { review: `Day ${from + i}: I was ${words[mood]}.`, mood };
  });
writeRows(join(folder, "train.jsonl"), rowsOf(0, 30));
writeRows(join(folder, "test.jsonl"), rowsOf(40, 8));
const columns = ["--columns", "text=review,label=mood"];
const facet = (...args: string[]) => runFacet(args, folder);
const tuned = ["--model", "tiny", "--adapter", "mood"];

describe("a classifier on the command line", () => {
  beforeAll(async () => {
    const { code, stdout, stderr } = await facet(
      ...["finetune", "--model", "tiny", "--data", "train.jsonl", ...columns, "--run", "mood"],
      ...["--objective", "classification", "--layout", "standard", "--modules", "all-linear"],
      ...["--sequence-length", "64", "--batch-size", "5", "--learning-rate", "0.01"],
      ...["--epochs", "5"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr });
    expect(stderr).not.toContain("does not use");
    expect(stdout).toContain('Next: npx facet classify --model tiny --adapter mood --text "…"');
  });

  it("says the class of texts", async () => {
    const { code, stdout } = await facet(
      ...["classify", ...tuned, "--text", "Day 50: I was glad and laughed."],
      ...["--text", "Day 51: I was furious and shouted."],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^good \(\d+\.\d %\) {2}Day 50.*\nbad \(\d+\.\d %\) {2}Day 51/);
  });

  it("says the class of rows, whose labels it does not need", async () => {
    const { code, stdout } = await facet(
      ...["classify", ...tuned, "--data", "test.jsonl", "--columns", "text=review", "--json"],
    );
    expect(code).toBe(0);
    const { predictions } = JSON.parse(stdout);
    expect(predictions.map(({ label }: { label: string }) => label)).toEqual(
      rowsOf(40, 8).map(({ mood }) => mood),
    );
    expect(predictions[2]).toMatchObject({ file: expect.stringMatching(/test\.jsonl$/), line: 3 });
    expect(Object.keys(predictions[0].probabilities)).toEqual(["bad", "good"]);
  });

  it("is measured on rows with labels", async () => {
    const measured = ["evaluate", ...tuned, "--data", "test.jsonl", ...columns];
    const { code, stdout } = await facet(...measured, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ accuracy: 1, examples: 8 },
      classes: [
        { label: "bad", rows: 4, predicted: 4, correct: 4 },
        { label: "good", rows: 4, predicted: 4, correct: 4 },
      ],
    });
    const shown = await facet(...measured);
    expect(shown.stdout).toMatch(/Accuracy +100\.0 %/);
    expect(shown.stdout).toMatch(/good +4 rows, 100\.0 % of them found, 100\.0 % of the pred/);
  });

  it.each([
    [["generate", ...tuned, "--prompt", "Hello"], "error: The adapter is a classifier (bad, good)"],
    [["export", ...tuned, "--to", "merged", "--out", "m"], "only PEFT's form has its head"],
    [["classify", ...tuned], "error: Give either --text, once or more, or --data."],
    [["classify", "--model", "tiny", "--adapter", "peft", "--text", "a"], "is no classifier"],
    [["evaluate", ...tuned, "--task", "test.jsonl"], "for which --task has no meaning"],
  ])("%j is refused", async (args, message) => {
    const { code, stderr } = await facet(...args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});
