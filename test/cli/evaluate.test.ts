import { writeFileSync } from "node:fs";
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
const run = (...args: string[]) => runFacet(["evaluate", "--model", "tiny", ...args], folder);

describe.concurrent("facet evaluate", () => {
  it("prints loss, perplexity and accuracy, and says on stderr what the data became", async () => {
    const { code, stdout, stderr } = await run("--data", "rows.jsonl", "--json");
    const result = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(Object.keys(result).sort()).toEqual([
      "accuracy",
      "examples",
      "loss",
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
      (await run("--data", "rows.jsonl", "--batch-size", "1", "--json")).stdout,
    );
    const nine = JSON.parse(
      (await run("--data", "rows.jsonl", "--batch-size", "9", "--json")).stdout,
    );
    expect(nine.loss).toBeCloseTo(one.loss, 5);
    expect(nine.target_tokens).toBe(one.target_tokens);
  });

  it("measures the model with an adapter, on filtered and limited rows", async () => {
    const rows = ["--data", "rows.jsonl", "--filter", "no-context", "--limit", "5", "--json"];
    const base = JSON.parse((await run(...rows)).stdout);
    const tuned = JSON.parse((await run(...rows, "--adapter", "peft")).stdout);
    expect([base.examples, tuned.examples]).toEqual([5, 5]);
    expect(tuned.loss).not.toBeCloseTo(base.loss, 4);
  });

  it("has a table for people", async () => {
    const { stdout } = await run("--data", "rows.jsonl", "--limit", "3");
    expect(stdout).toMatch(/^Loss +\d+\.\d{4} nats per token\nPerplexity +/);
  });

  it.each([
    [["--data", "nowhere.jsonl"], "nowhere.jsonl"],
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
