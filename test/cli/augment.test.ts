import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { jsonLineRow } from "../../src/data/jsonLines.js";
import { isForValidation } from "../../src/data/split.js";
import { chatServer } from "../support/chatServer.js";
import { runFacet, workFolder, writeRows } from "./facet.js";

const folder = workFolder();
const run = (...args: string[]) => runFacet(["augment", "--data", "rows.jsonl", ...args], folder);
const read = (name: string) => readFileSync(join(folder, name), "utf8").trim().split("\n");
let written = 0;
const server = await chatServer((_, i) =>
  JSON.stringify([
    { instruction: "How many is 3 and 4?", response: "It is 7, of course." },
    ...[1, 2, 3].map((k) => ({
      instruction: `What colour has thing ${10 * i + k}?`,
      response: `Colour ${++written}.`,
    })),
  ]),
);
afterAll(() => server.close());

describe("facet augment", () => {
  it("writes rows and their rewrites, each with its origin, and the same again", async () => {
    const args = ["--rewrites", "paraphrase,noise,mix-contexts", "--copies", "2", "--seed", "4"];
    const { code, stdout, stderr } = await run(...args, "--out", "more.jsonl", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { rows, written, repeated, synthesis } = JSON.parse(stdout);
    expect({ rows, synthesis }).toEqual({ rows: 40, synthesis: null });
    expect(written.original).toBe(40);
    expect(written.paraphrase + written.noise + repeated).toBeGreaterThanOrEqual(160);
    const lines = read("more.jsonl");
    expect(lines).toHaveLength(Object.values<number>(written).reduce((a, b) => a + b));
    expect(new Set(lines).size).toBe(lines.length);
    expect(JSON.parse(lines.at(-1)!).origin).toEqual({
      ...{ by: "noise", from: [{ file: "rows.jsonl", line: 40 }] },
      group: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    await run(...args, "--out", "again.jsonl");
    expect(read("again.jsonl")).toEqual(lines);
  });

  it("keeps what was made of a row on that row's side of the split", () => {
    const held = isForValidation(0.3);
    const sides = new Map<number, Set<boolean>>();
    for (const [i, line] of read("more.jsonl").entries()) {
      const row = jsonLineRow(line, "more.jsonl", i + 1);
      const { from } = row.nonText.origin as { from: { line: number }[] };
      const known = sides.get(from[0]!.line) ?? new Set();
      sides.set(from[0]!.line, known.add(held(row)));
    }
    expect(sides.size).toBe(40);
    const original = read("rows.jsonl").map((line, i) =>
      held(jsonLineRow(line, "rows.jsonl", i + 1)),
    );
    for (const [line, side] of sides) expect([...side]).toEqual([original[line - 1]]);
    expect(new Set(original).size).toBe(2);
  });

  it("is read by finetune's reader as the rows were", async () => {
    const args = ["--data", "more.jsonl", "--tokenizer", "tiny/tokenizer.model", "--json"];
    const { stdout } = await runFacet(["inspect", ...args], folder);
    expect(JSON.parse(stdout)).toMatchObject({ template: "tutorial", dropped: {} });
  });

  it("has rows written by a model, without those that there are", async () => {
    const { code, stdout, stderr } = await run(
      ...["--synthesize", "5", "--endpoint", server.url, "--endpoint-model", "writer"],
      ...["--no-originals", "--temperature", "0.5", "--out", "new.jsonl", "--json"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    expect(JSON.parse(stdout)).toMatchObject({
      written: { synthesis: 5 },
      synthesis: { requests: 2, duplicates: 2, malformed: 0 },
    });
    const rows = read("new.jsonl").map((line) => JSON.parse(line));
    expect(rows[0]).toMatchObject({
      ...{ instruction: "What colour has thing 1?", response: "Colour 1." },
      origin: { by: "synthesis", model: "writer" },
    });
    expect(rows[0].origin.from.length).toBeGreaterThan(1);
    expect(server.asked[0]!.body).toMatchObject({ model: "writer", temperature: 0.5 });
  });

  it("takes phrases and columns of one's own", async () => {
    writeRows(join(folder, "faq.jsonl"), [{ q: "Why?", a: "So." }]);
    const args = ["--columns", "prompt=q,completion=a", "--rewrites", "paraphrase"];
    const faq = ["augment", "--data", "faq.jsonl", ...args, "--out", "faq-more.jsonl"];
    await runFacet([...faq, "--phrase", "Q: {prompt}", "--copies", "3"], folder);
    const rows = read("faq-more.jsonl").map((line) => JSON.parse(line));
    expect(rows.map(({ prompt, completion }) => [prompt, completion])).toEqual([
      ["Why?", "So."],
      ["Q: Why?", "So."],
    ]);
  });

  it.each([
    [
      [],
      "error: There is nothing to do. Give --rewrites (paraphrase, noise, back-off, mix-contexts)",
    ],
    [["--rewrites", "noises"], 'error: Unknown --rewrites "noises". Did you mean "noise"?'],
    [
      ["--synthesize", "3"],
      "error: --synthesize, --endpoint and --endpoint-model need one another",
    ],
    [
      ["--rewrites", "noise", "--phrase", "x {prompt}"],
      "error: --phrase is for --rewrites paraphrase",
    ],
    [["--rewrites", "paraphrase", "--phrase", "x"], 'error: The phrase "x" has no {prompt} in it'],
    [["--rewrites", "back-off", "--no-originals"], "error: Nothing was made of the rows"],
    [
      ["--synthesize", "3", "--endpoint", "localhost", "--endpoint-model", "m"],
      'error: "localhost" is no address of a server',
    ],
  ])("refuses %j and writes nothing", async (args, message) => {
    const { code, stderr } = await run(...args, "--out", "none.jsonl");
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(existsSync(join(folder, "none.jsonl"))).toBe(false);
  });

  it("refuses a file that exists", async () => {
    const { stderr } = await run("--rewrites", "noise", "--out", "rows.jsonl");
    expect(stderr).toContain("error: rows.jsonl exists; --out needs a new file.");
  });
});
