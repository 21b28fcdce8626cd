import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadDataset } from "../../src/data/dataset.js";
import { assets } from "../../src/hub/places.js";
import { loadSentencePiece } from "../../src/tokenizers/sentencePiece.js";
import { type Ended, runFacet, workFolder } from "../cli/facet.js";
import { sharedPath } from "../support/sharedFolder.js";

const dolly = sharedPath("data/databricks-dolly-15k.jsonl");
const model = join(assets, "facet_nano_en");
const hasModel = existsSync(join(model, "model.safetensors"));
if (!hasModel) console.warn(`${model} has no model.safetensors: what needs it is skipped.`);

const rows = ["--data", dolly.path, "--filter", "no-context", "--sequence-length", "256"];
const split = { filters: ["no-context"], limit: 60, sequenceLength: 256, validationSplit: 0.2 };
const prompt = "What should I do on a trip to Europe?";

describe.skipIf(!dolly.isThere || !hasModel)("facet finetune on rows of Dolly", () => {
  const folder = workFolder();
  const path = (...names: string[]) => join(folder, "run", ...names);
  const text = (...names: string[]) => readFileSync(path(...names), "utf8");
  const lines = (...names: string[]) =>
    text(...names)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));

  let ended: Ended;
  let result: Record<string, number> & { held_out: Record<"before" | "after", { loss: number }> };
  beforeAll(async () => {
    ended = await runFacet(
      [
        ...["finetune", "--model", "facet_nano_en", ...rows, "--run", "run"],
        ...["--limit", String(split.limit), "--validation-split", String(split.validationSplit)],
        ...["--max-steps", "40", "--learning-rate", "2e-3", "--clip-norm", "1"],
        ...["--prompts", prompt, "--sample-length", "60", "--json"],
      ],
      folder,
    );
    if (ended.code === 0) result = JSON.parse(ended.stdout);
  }, 300_000);

  it("makes the loss on rows that it was not shown fall", () => {
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: ended.stderr });
    expect(result).toMatchObject({ status: "finished", steps: 40 });
    const { before, after } = result.held_out;
    expect(after.loss).toBeLessThan(before.loss - 0.02);
  });

  it("says in run.json what it was made from", () => {
    const run = JSON.parse(text("run.json"));
    expect(run).toMatchObject({
      command: "finetune",
      config: { model: "facet_nano_en", data: [dolly.path], limit: 60, rank: 4, seed: 0 },
      versions: { node: process.version },
      trainable_parameters: result.trainable_parameters,
      digests: { data: "2df9083338b4abd6bceb5635764dab5d833b393b55759dffb0959b6fcbf794ec" },
    });
    expect(Object.keys(run.digests.base).sort()).toEqual(["config.json", "model.safetensors"]);
  });

  it("logs every step, and the curve falls", () => {
    const metrics = lines("metrics.jsonl") as { step: number; loss: number }[];
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    const mean = (part: typeof metrics) => part.reduce((sum, { loss }) => sum + loss, 0) / 10;
    expect(mean(metrics.slice(-10))).toBeLessThan(mean(metrics.slice(0, 10)));
    expect(readdirSync(path()).some((name) => name.startsWith("events.out.tfevents."))).toBe(true);
  });

  it("leaves a checkpoint, a PEFT adapter, the samples and a report", () => {
    expect(readdirSync(path("checkpoints"))).toEqual(["step-000040"]);
    expect(readdirSync(path("adapter")).sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);
    const config = JSON.parse(text("adapter", "adapter_config.json"));
    expect(config).toMatchObject({ peft_type: "LORA", task_type: "CAUSAL_LM" });
    const [sample, ...others] = lines("samples.jsonl");
    expect(others).toEqual([]);
    expect(sample).toEqual({
      prompt,
      before: expect.any(String),
      after: expect.stringMatching(/\w/),
    });
    expect(sample.after).not.toBe(sample.before);
    const report = text("report.html");
    expect(report).toContain(prompt);
    expect(report).toContain("<svg");
  });

  it("gives, with its adapter, the same held-out loss in facet evaluate", async () => {
    const tokenizer = loadSentencePiece(join(model, "tokenizer.model"));
    const { train, validation } = await loadDataset({
      ...{ ...split, tokenizer, sets: [[dolly.path]] },
      spill: { folder, bytes: 2 ** 28 },
    });
    expect(train.examples.length).toBeGreaterThan(40);
    const all = readFileSync(dolly.path, "utf8").split("\n");
    const heldOut = Array.from(validation!.examples, ({ line }) => `${all[line - 1]}\n`);
    writeFileSync(join(folder, "held-out.jsonl"), heldOut.join(""));
    const evaluate = async (...more: string[]) => {
      const args = ["evaluate", "--model", "facet_nano_en", "--data", "held-out.jsonl"];
      const options = ["--sequence-length", "256", "--json", ...more];
      return JSON.parse((await runFacet([...args, ...options], folder)).stdout);
    };
    const { before, after } = result.held_out;
    const [base, tuned] = [await evaluate(), await evaluate("--adapter", "run")];
    expect(tuned.examples).toBe(heldOut.length);
    expect(base.loss).toBeCloseTo(before.loss, 5);
    expect(tuned.loss).toBeCloseTo(after.loss, 4);
  });
});
