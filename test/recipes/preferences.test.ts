import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { finetune, resumeFinetune } from "../../src/recipes/finetune.js";
import { type FinetuneInput, finetuneSchema } from "../../src/recipes/finetuneConfig.js";
import { decide } from "../../src/recipes/openChoices.js";
import { fixture } from "../support/modelFolder.js";
import { config as tinyConfig } from "../support/tinyGemma.js";

const folder = mkdtempSync(join(tmpdir(), "facet-preferences-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (...names: string[]) => join(folder, ...names);
for (const file of ["config.json", "model.safetensors"]) {
  cpSync(fixture(`gemma1_tiny/${file}`), path("tiny", file));
}
cpSync(fixture("tok512/tokenizer.model"), path("tiny", "tokenizer.model"));
const rows = Array.from({ length: 24 }, (_, i) => ({
  prompt: `How many is ${i} and ${i + 1}? `,
  chosen: `It is ${2 * i + 1}, of course.`,
  rejected: `I do not know ${i}.`,
}));
writeFileSync(path("pairs.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));

const engine = onnxEngine({ threads: 1 });
const input = (run: string, options: Partial<FinetuneInput>): FinetuneInput => ({
  ...{ model: path("tiny"), data: path("pairs.jsonl"), run: path(run), sequenceLength: 64 },
  ...{ validationSplit: 0.3, batchSize: 4, learningRate: 0.02, layout: "standard", seed: 1 },
  ...options,
});
const metrics = (run: string) =>
  readFileSync(path(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number>);

describe.each(["dpo", "orpo"] as const)("a run with the objective %s", (objective) => {
  test("learns which answer is preferred, also of rows it was not shown", async () => {
    const options = input(objective, { objective, epochs: 4, microBatchSize: 3 });
    const { heldOut, status } = await finetune(options, engine);
    expect(status).toBe("finished");
    const { before, after } = heldOut!;
    if (objective === "dpo") expect(before.loss).toBeCloseTo(Math.log(2), 4);
    expect(after.loss).toBeLessThan(0.5 * before.loss);
    expect(after.accuracy).toBe(1);
    expect(after.measures!.margin).toBeGreaterThan(1);
    expect(after.examples).toBe(before.examples);
    const lines = metrics(objective);
    expect(lines.at(-1)!.margin).toBeGreaterThan(lines[0]!.margin!);
    expect(lines.at(-1)!.chosen_log_probability).toBeGreaterThan(
      lines.at(-1)!.rejected_log_probability!,
    );
    expect(readFileSync(path(objective, "report.html"), "utf8")).toContain("Held-out accuracy");
  });

  test("continues after an interruption with the bits that it would have had, dropout included", async () => {
    const options = { objective, dropout: 0.1, maxSteps: 6, microBatchSize: 3, saveEvery: 2 };
    await finetune(input(`${objective}-whole`, options), engine);
    const stop = new AbortController();
    const onEvent = (event: { kind: string; report?: { step: number } }) => {
      if (event.report?.step === 3) stop.abort();
    };
    const run = `${objective}-cut`;
    const cut = await finetune(input(run, options), engine, { signal: stop.signal, onEvent });
    expect(cut).toMatchObject({ status: "interrupted", steps: 3 });
    expect(existsSync(path(run, "reference.safetensors"))).toBe(objective === "dpo");
    const asked: string[] = [];
    await resumeFinetune(path(run), engine, { onEvent: ({ kind }) => asked.push(kind) });
    // What the base model thinks was kept.
    expect(asked).not.toContain("reference");
    const file = ["adapter", "adapter_model.safetensors"];
    expect(readFileSync(path(run, ...file))).toEqual(
      readFileSync(path(`${objective}-whole`, ...file)),
    );
    const same = (line: Record<string, number>) => ({ ...line, tokens_per_second: 0, memory: 0 });
    expect(metrics(run).map(same)).toEqual(metrics(`${objective}-whole`).map(same));
  });
});

describe("a preference run is refused", () => {
  test.each<[Partial<FinetuneInput>, RegExp]>([
    [{ targets: "all" }, /--targets all does not go with --objective dpo/],
    [{ packing: true }, /--packing does not go with/],
    [{ overlong: "cut-prompt-left" }, /different prompts\. Use drop or truncate/],
    [{ objective: "sft", beta: 0.2 }, /--beta is only for --objective dpo or orpo/],
    [{ beta: 0 }, /beta/],
  ])("with %o", async (options, message) => {
    const asked = input("refused", { objective: "dpo", ...options });
    await expect(finetune(asked, engine)).rejects.toThrow(message);
    expect(existsSync(path("refused"))).toBe(false);
  });

  test("for rows that are no pairs", async () => {
    writeFileSync(path("texts.jsonl"), '{"text":"Some text."}\n{"text":"More of it."}\n');
    const asked = input("refused", { objective: "dpo", data: path("texts.jsonl") });
    await expect(finetune(asked, engine)).rejects.toThrow(
      /texts\.jsonl: not preferences\..* the template "plain" uses text\. .*--columns/,
    );
  });
});

test("DPO takes smaller steps than the other objectives, unless told otherwise", () => {
  const rateOf = (options: Partial<FinetuneInput>) =>
    decide(finetuneSchema.parse({ data: "pairs.jsonl", run: "r", ...options }), tinyConfig)
      .learningRate;
  expect(rateOf({ objective: "dpo" })).toBe(2e-4);
  expect(rateOf({ objective: "orpo" })).toBe(2e-3);
  expect(rateOf({ objective: "dpo", learningRate: 0.5 })).toBe(0.5);
});
