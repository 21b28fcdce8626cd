import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
writeRows(join(folder, "mixed.jsonl"), [
  { instruction: "One?", context: "", response: "1" },
  { instruction: "Two?", context: "Counting.", response: "2" },
  { instruction: "Three?", context: "" },
  { instruction: "Four?", context: "", response: "  " },
  { instruction: "Five? ".repeat(20), context: "", response: "5" },
]);
const turn = (role: string, content: string) => ({ role, content });
writeRows(join(folder, "chat.jsonl"), [
  {
    messages: [
      turn("user", "Hi"),
      turn("assistant", "Hello"),
      turn("user", "Bye"),
      turn("assistant", "See you"),
    ],
  },
  { messages: [turn("assistant", "Hello")] },
]);
writeFileSync(join(folder, "faq.csv"), "question,answer\nWhy?,So.\n");
const run = (...args: string[]) => runFacet(["inspect", "--data", "mixed.jsonl", ...args], folder);
const usual = ["--model", "tiny", "--filter", "no-context", "--sequence-length", "64"];

describe.concurrent("facet inspect", () => {
  it("says what became of the rows", async () => {
    const { stdout, stderr } = await run(...usual, "--targets", "completion", "--json");
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({
      data: "mixed.jsonl",
      template: "tutorial",
      rows: 5,
      filtered_out: 1,
      kept: 1,
      dropped: {
        "missing field": [{ file: "mixed.jsonl", line: 3 }],
        "empty response": [{ file: "mixed.jsonl", line: 4 }],
        "no target": [{ file: "mixed.jsonl", line: 5 }],
      },
      truncated: 0,
      row: { line: 1, truncated: 0 },
    });
  });

  it("shows a row token by token, with its targets", async () => {
    const { stdout } = await run(...usual, "--targets", "completion", "--json");
    const { row, target_tokens } = JSON.parse(stdout);
    expect(row.tokens.at(0)).toMatchObject({ id: 2, piece: "<bos>", target: false });
    expect(row.tokens.at(-1)).toMatchObject({ id: 1, piece: "<eos>", target: true });
    const targets = row.tokens.filter((token: { target: boolean }) => token.target);
    expect(targets.length).toBe(target_tokens);
    expect(targets[0].piece).toContain("1");
  });

  it("draws the lengths and the row for people", async () => {
    const { stdout } = await run(...usual, "--row", "5");
    expect(stdout).toContain("1 row dropped: missing field (line 3)");
    expect(stdout).toContain("1 row truncated to the sequence length");
    expect(stdout).toMatch(/\n *\d+–\d+ █+ 1\n/);
    expect(stdout).toMatch(/The row at line 5: 65 tokens, \d+ tokens cut off/);
    expect(stdout).toContain("<bos> [Instruction]");
  });

  it("reads conversations, and columns of other names", async () => {
    const model = ["--model", "facet_nano_en", "--targets", "assistant", "--json"];
    const chat = JSON.parse(
      (await runFacet(["inspect", "--data", "chat.jsonl", ...model], folder)).stdout,
    );
    expect(chat).toMatchObject({
      ...{
        template: "gemma-chat",
        kept: 1,
        dropped: { "refused by the template": [{ file: "chat.jsonl", line: 2 }] },
      },
    });
    const learned = chat.row.tokens.filter((token: { target: boolean }) => token.target);
    expect(learned.map((token: { piece: string }) => token.piece).join("")).toBe(
      "Hello<end_of_turn>\nSee▁you<end_of_turn>\n<eos>",
    );
    const columns = ["--columns", "prompt=question,completion=answer", "--template", "tutorial"];
    const faq = await runFacet(["inspect", "--data", "faq.csv", ...columns, ...model], folder);
    expect(JSON.parse(faq.stdout)).toMatchObject({ template: "tutorial", kept: 1 });
  });

  it("finds duplicates, and rows on both sides of the split", async () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({
      instruction: `Which number comes after ${i * 37} when you count up to a thousand and one?`,
      response: `After ${i * 37} comes the number ${i * 37 + 1}, as everybody knows.`,
    }));
    const shouted = rows.map((row) => ({ ...row, instruction: row.instruction.toUpperCase() }));
    writeRows(join(folder, "twice.jsonl"), [...rows, ...shouted]);
    const args = ["--data", "twice.jsonl", "--tokenizer", "tiny/tokenizer.model", "--json"];
    const { stdout } = await runFacet(["inspect", ...args, "--validation-split", "0.3"], folder);
    const { warnings, duplicates, held_out, kept } = JSON.parse(stdout);
    expect(held_out + kept).toBe(120);
    expect(duplicates).toHaveLength(60);
    const leaks = duplicates.filter(({ leak }: { leak: boolean }) => leak);
    expect(leaks.length).toBeGreaterThan(0);
    const found = Object.fromEntries(
      warnings.map((one: { kind: string; places: [] }) => [one.kind, one.places.length]),
    );
    expect(found).toEqual({ leak: leaks.length, duplicate: 60 - leaks.length });
    expect(duplicates[0].row.line - duplicates[0].of.line).toBe(60);
  });

  it("writes an HTML page, into a new file only", async () => {
    const args = ["--tokenizer", "tiny/tokenizer.model", "--html", "report.html"];
    const { code, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "Wrote report.html\n" });
    const html = readFileSync(join(folder, "report.html"), "utf8");
    expect(html).toContain('<h1 dir="auto">Data: mixed.jsonl</h1>');
    expect(html).toContain("dropped: missing field<small>mixed.jsonl line 3</small>");
    expect(html).toContain("mixed.jsonl line 1: ");
    expect((await run(...args)).stderr).toContain("error: report.html exists");
  });

  it("says what an epoch of several data sets has", async () => {
    const sets = ["--data", "mixed.jsonl", "--data", "chat.jsonl", "--model", "facet_nano_en"];
    const { stdout } = await runFacet(["inspect", ...sets, "--mix", "1,1", "--json"], folder);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ rows: 7, kept: 4 },
      mix: [
        { data: "mixed.jsonl", examples: 2 },
        { data: "chat.jsonl", examples: 2 },
      ],
    });
    const shown = await runFacet(["inspect", ...sets, "--mix", "1,1"], folder);
    expect(shown.stdout).toMatch(/^Mix +2 rows of mixed.jsonl, 2 of chat.jsonl in an epoch$/m);
  });

  it("shows both answers of a preference", async () => {
    writeRows(join(folder, "pairs.jsonl"), [{ prompt: "Hi ", chosen: "Hello", rejected: "No" }]);
    const args = ["--data", "pairs.jsonl", "--tokenizer", "tiny/tokenizer.model", "--json"];
    const { stdout } = await runFacet(
      ["inspect", ...args, "--preferences", "--targets", "completion"],
      folder,
    );
    const { row, rejected } = JSON.parse(stdout);
    expect([row.answer, rejected.answer]).toEqual(["chosen", "rejected"]);
    expect(row.tokens[0]).toEqual(rejected.tokens[0]);
    expect(rejected.tokens).not.toEqual(row.tokens);
  });

  it("takes a tokenizer instead of a model", async () => {
    const { code, stdout } = await run("--tokenizer", "tiny/tokenizer.model", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout).kept).toBe(3);
  });

  it.each([
    [["--model", "tiny", "--row", "4"], "error: The row at line 4 was dropped: empty response."],
    [["--model", "tiny", "--row", "9"], "error: There is no row at line 9."],
    [[...usual, "--row", "2"], "error: The row at line 2 is not used: --filter or --limit"],
    [[], "error: Give either --model or --tokenizer"],
    [
      ["--model", "tiny", "--filter", "no-contex"],
      'error: Unknown filter "no-contex". Did you mean',
    ],
    [["--model", "tiny", "--template", "tutoria"], 'error: Unknown template "tutoria". Did you'],
    [["--model", "tiny", "--template", "{instructio}"], "error: Unknown field in the template"],
    [["--tokenizer", "tiny/config.json"], "error: "],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});
