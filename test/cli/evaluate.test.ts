import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
writeFileSync(
  join(folder, "broken.jsonl"),
  '{"instruction": "a", "response": "b"}\n\n{"instruction": "c",\n',
);
writeRows(join(folder, "numbers.jsonl"), [
  { instruction: "a", response: "b" },
  { instruction: "c", response: 3 },
]);
writeRows(join(folder, "context.jsonl"), [{ instruction: "a", context: "x", response: "b" }]);
writeRows(join(folder, "halves.jsonl"), [{ instruction: "a" }]);
writeFileSync(join(folder, "empty.jsonl"), "");
writeRows(join(folder, "swag.jsonl"), [
  { ctx: "A dog", endings: ["barks.", "reads a book."], label: "0" },
  { ctx: "A cat", endings: ["drives a car.", "sleeps."], label: 1 },
]);
const none = ["--answers", "0"];
const run = (...args: string[]) => runFacet(["evaluate", "--model", "tiny", ...args], folder);

describe.concurrent("facet evaluate", () => {
  it("prints loss, perplexity and accuracy, and says on stderr what the data became", async () => {
    const { code, stdout, stderr } = await run("--data", "rows.jsonl", "--answers", "0", "--json");
    const result = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(Object.keys(result).sort()).toEqual([
      "accuracy",
      "answer_lengths",
      "answers",
      "examples",
      "loss",
      "metrics",
      "perplexity",
      "target_tokens",
    ]);
    expect(result.examples).toBe(40);
    expect(result.perplexity).toBeCloseTo(Math.exp(result.loss), 6);
    expect(stderr).toContain(`40 rows of 40 kept, ${result.target_tokens.toLocaleString("en")} `);
    expect(stderr).toContain("Evaluating 10/10");
    expect(stderr).not.toContain("\u001B");
  });

  it("counts every token the same, whatever the batches are", async () => {
    const one = JSON.parse(
      (await run("--data", "rows.jsonl", "--batch-size", "1", ...none, "--json")).stdout,
    );
    const nine = JSON.parse(
      (await run("--data", "rows.jsonl", "--batch-size", "9", ...none, "--json")).stdout,
    );
    expect(nine.loss).toBeCloseTo(one.loss, 5);
    expect(nine.target_tokens).toBe(one.target_tokens);
  });

  it("measures the model with an adapter, on filtered and limited rows", async () => {
    const rows = [
      "--data",
      "rows.jsonl",
      "--filter",
      "no-context",
      "--limit",
      "5",
      ...none,
      "--json",
    ];
    const base = JSON.parse((await run(...rows)).stdout);
    const tuned = JSON.parse((await run(...rows, "--adapter", "peft")).stdout);
    expect([base.examples, tuned.examples]).toEqual([5, 5]);
    expect(tuned.loss).not.toBeCloseTo(base.loss, 4);
  });

  it("has intervals that hold the value, and depend on the seed and the confidence", async () => {
    const loss = async (...args: string[]) =>
      JSON.parse((await run("--data", "rows.jsonl", ...none, ...args, "--json")).stdout).metrics
        .loss;
    const usual = await loss();
    expect(usual.rows).toBe(40);
    expect(usual.low).toBeLessThan(usual.value);
    expect(usual.high).toBeGreaterThan(usual.value);
    expect(await loss("--seed", "1")).not.toEqual(usual);
    const wide = await loss("--confidence", "0.99");
    expect(wide.high - wide.low).toBeGreaterThan(usual.high - usual.low);
  });

  it("answers the prompts of rows spread over the data", async () => {
    const args = ["--data", "rows.jsonl", "--answers", "4", "--answer-length", "6", "--json"];
    const { answers, answer_lengths, metrics } = JSON.parse((await run(...args)).stdout);
    expect(answers.map(({ line }: { line: number }) => line)).toEqual([1, 11, 21, 31]);
    expect(answers[1].reference).toBe("It is 21, of course.");
    expect(answers[1].prompt).toContain("How many is 10 and 11?");
    expect(answers[1].prompt).not.toContain("of course");
    expect(answer_lengths).toHaveLength(2);
    expect(answer_lengths[1].max).toBeLessThanOrEqual(6);
    expect(metrics.stop_rate.value).toBe(1 - answer_lengths[1].cut);
    expect(metrics.answer_length.value).toBe(answer_lengths[1].mean);
    // The answers do not depend on how many are computed together.
    const one = JSON.parse((await run(...args, "--batch-size", "1")).stdout).answers;
    expect(one).toEqual(answers);
  });

  it("scores a task without data", async () => {
    const { code, stdout } = await run("--task", "swag.jsonl", "--json");
    const { loss, examples, metrics } = JSON.parse(stdout);
    expect({ code, loss, examples }).toEqual({ code: 0, loss: null, examples: null });
    expect(Object.keys(metrics)).toEqual(["swag.acc", "swag.acc_norm"]);
    expect(metrics["swag.acc"].rows).toBe(2);
  });

  it("has tables for people", async () => {
    const rows = ["--data", "rows.jsonl", "--limit", "3", "--answer-length", "4"];
    const { stdout } = await run(...rows, "--report", "report.html");
    expect(stdout).toMatch(/^Metric +Value +95 % interval +Rows\nLoss +\d+\.\d{4} /);
    expect(stdout).toMatch(/^the rows' own +\d+/m);
    expect(existsSync(join(folder, "report.html"))).toBe(true);
  });

  it.each([
    [[], "There is nothing to measure on"],
    [["--data", "nowhere.jsonl"], "nowhere.jsonl"],
    [["--task", "broken.jsonl"], "broken.jsonl, line 1: not a multiple-choice question"],
    [
      ["--data", "rows.jsonl", "--report", "no/where.html"],
      "Cannot write the report no/where.html: there is no folder",
    ],
    [["--data", "rows.jsonl", "--resamples", "10"], "Invalid --resamples"],
    [["--data", "broken.jsonl"], "error: broken.jsonl, line 3"],
    [["--data", "numbers.jsonl"], 'error: numbers.jsonl, line 2: field "response" is a number'],
    [["--data", "empty.jsonl"], "error: empty.jsonl holds no rows"],
    [["--data", "context.jsonl", "--filter", "no-context"], "error: No row is left: the filter"],
    [["--data", "halves.jsonl"], "error: "],
    [["--data", "rows.jsonl", "--sequence-length", "300"], "at most 256 tokens"],
    [["--data", "rows.jsonl", "--targets", "completions"], 'Did you mean "completion"?'],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^error: /m);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
