import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDataset } from "../../src/data/dataset.js";
import { inspectPrepared } from "../../src/data/inspect.js";
import { createRandom } from "../../src/random.js";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";
import { runFacet, workFolder } from "./facet.js";

// As built, Facet reads a file of this size by several threads; from its sources by one.
const folder = workFolder();
const random = createRandom({ seed: 3, stream: "sampling" });
const words = ["sea", "tide", "<end_of_turn>", "naïve", "☂", "a\nb", "  ", "Zeit", "42", "."];
const text = (most: number) =>
  Array.from({ length: random.below(most) }, () => words[random.below(words.length)]).join(" ");
const lines = Array.from({ length: 24_000 }, (_, i) =>
  i % 1000 === 7
    ? ""
    : JSON.stringify({
        instruction: text(40),
        context: i % 3 === 0 ? text(20) : "",
        ...(i % 50 !== 0 && { response: i % 60 === 0 ? " " : text(40) }),
      }),
);
const path = join(folder, "large.jsonl");
writeFileSync(path, `${lines.join("\n")}\n`);
const options = ["--model", "tiny", "--filter", "no-context", "--targets", "completion"];
const inspect = (data: string) =>
  runFacet(["inspect", "--data", data, ...options, "--sequence-length", "100", "--json"], folder);

describe("facet inspect of a large file", () => {
  it("says what one thread says, and again the next time, from what it kept", async () => {
    const { train, rows } = await loadDataset({
      ...{ sets: [[path]], filters: ["no-context"], targets: "completion", sequenceLength: 100 },
      tokenizer: loadSentencePiece(join(folder, "tiny", "tokenizer.model")),
      spill: { folder, bytes: 2 ** 28 },
    });
    const { report, histogram } = inspectPrepared(train, 100);
    const first = await inspect(path);
    expect(first.stderr).toBe("");
    expect(JSON.parse(first.stdout)).toMatchObject({
      rows: rows.total,
      filtered_out: rows.filteredOut,
      kept: report.kept,
      dropped: report.dropped,
      truncated: report.truncated,
      target_tokens: report.targetTokens,
      histogram,
    });
    expect(report.dropped).toHaveProperty("missing field");
    expect(report.truncated).toBeGreaterThan(0);

    const kept = join(folder, ".facet", "prepared");
    const [file, ...others] = readdirSync(kept);
    expect(others).toEqual([]);
    expect((await inspect(path)).stdout).toBe(first.stdout);
    const bytes = readFileSync(join(kept, file!));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(join(kept, file!), bytes);
    expect((await inspect(path)).stdout).toBe(first.stdout);
  });

  const dist = new URL("../../dist/", import.meta.url);
  it.skipIf(!existsSync(dist))(
    "needs no program file: node may be given the program as text",
    () => {
      const program = `
      const [path, tokenizer, folder] = process.argv.slice(1);
      const { loadDataset } = await import("${dist.href}data/dataset.js");
      const { loadSentencePiece } = await import("${dist.href}tokenizers/sentencePiece.js");
      const spill = { folder, bytes: 2 ** 28 };
      const given = { sets: [[path]], tokenizer: loadSentencePiece(tokenizer), sequenceLength: 100 };
      const { rows } = await loadDataset({ ...given, filters: ["no-context"], spill });
      console.log(rows.total);`;
      const given = [path, join(folder, "tiny", "tokenizer.model"), folder];
      const args = ["--input-type=module", "--eval", program, ...given];
      // A blank line in a thousand is no row.
      expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("23976\n");
    },
  );

  it("names the first line that is wrong", async () => {
    const wrong = lines.with(15_000, '{"instruction": ').with(20_000, "[]");
    writeFileSync(join(folder, "wrong.jsonl"), wrong.join("\n"));
    const { code, stderr } = await inspect("wrong.jsonl");
    expect(code).toBe(1);
    expect(stderr).toMatch(/wrong\.jsonl, line 15001.*invalid JSON/);
  });
});
