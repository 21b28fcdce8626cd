import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { openModel } from "../../src/hub/openModel.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { classify } from "../../src/recipes/classify.js";
import {
  type ClassifyConfig,
  classifyData,
  evaluateClassifier,
} from "../../src/recipes/classifyData.js";
import { finetune, resumeFinetune } from "../../src/recipes/finetune.js";
import type { FinetuneInput } from "../../src/recipes/finetuneConfig.js";
import type { FinetuneResult } from "../../src/recipes/finetuneEvents.js";
import { openSession, type Session } from "../../src/runtime/session.js";
import { latestCheckpoint } from "../../src/training/checkpoints.js";
import { fixture } from "../support/modelFolder.js";

const folder = mkdtempSync(join(tmpdir(), "facet-classes-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (...names: string[]) => join(folder, ...names);
const write = (name: string, rows: readonly object[]) =>
  writeFileSync(path(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
for (const file of ["config.json", "model.safetensors"]) {
  cpSync(fixture(`gemma1_tiny/${file}`), path("tiny", file));
}
cpSync(fixture("tok512/tokenizer.model"), path("tiny", "tokenizer.model"));
const moods = ["angry", "calm", "happy"];
const textOf = (mood: number, i: number) =>
  `Day ${i}: I was ${["furious and shouted", "quiet and sat down", "glad and laughed"][mood]} ${"again ".repeat(i % 3)}.`;
const rows = Array.from({ length: 45 }, (_, i) => ({
  text: textOf(i % 3, i),
  mood: moods[i % 3]!,
}));
write("moods.jsonl", rows);

const engine = onnxEngine({ threads: 1 });
const input = (run: string, options: Partial<FinetuneInput> = {}): FinetuneInput => ({
  ...{ model: path("tiny"), data: path("moods.jsonl"), run: path(run), sequenceLength: 64 },
  ...{ objective: "classification", columns: ["label=mood"], layout: "standard", seed: 1 },
  ...{ batchSize: 6, learningRate: 0.01, modules: ["all-linear"], ...options },
});
const metrics = (run: string) =>
  readFileSync(path(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => ({ ...JSON.parse(line), tokens_per_second: 0, memory: 0 }));

const dataOf = (name: string, columns: string[]): ClassifyConfig => ({
  ...{ data: path(name), filter: [], columns, batchSize: 4, overlong: "truncate" },
  ...{ template: undefined, limit: undefined },
});

async function open(adapter: string): Promise<Session> {
  const model = await openModel(path("tiny"));
  return openSession(model, engine, await loadAdapter(adapter, gemmaModules(model.config)));
}

describe("a run that learns classes", () => {
  let result: FinetuneResult;
  beforeAll(async () => {
    const options = { validationSplit: 0.3, epochs: 6, microBatchSize: 4 };
    result = await finetune(input("moods", options), engine);
  });

  test("puts rows that it was not shown into their classes", () => {
    const { before, after } = result.heldOut!;
    expect(before.accuracy).toBeLessThan(0.8);
    expect(after.accuracy).toBe(1);
    expect(after.loss).toBeLessThan(0.2 * before.loss);
    expect(metrics("moods").at(-1)).toMatchObject({ accuracy: 1 });
  });

  test("is saved in PEFT's form, with the names of the classes beside", () => {
    const config = JSON.parse(readFileSync(path("moods/adapter/adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ task_type: "SEQ_CLS", modules_to_save: ["score"] });
    const { tensors } = readSafetensorsHeader(path("moods/adapter/adapter_model.safetensors"));
    expect(tensors.get("base_model.model.score.weight")!.shape).toEqual([3, 64]);
    const said = JSON.parse(readFileSync(path("moods/run.json"), "utf8"));
    expect(said.labels).toEqual(moods);
    expect(said.data.report.unusedFields).toEqual({});
  });

  test.each(["run", "checkpoint"])(
    "is loaded again from its %s, and classifies texts",
    async (from) => {
      const place = from === "run" ? path("moods") : latestCheckpoint(path("moods/checkpoints"))!;
      const session = await open(place);
      const texts = [textOf(2, 50), textOf(0, 51), textOf(1, 52)];
      const predictions = await classify(session, texts);
      await session.close();
      expect(predictions.map(({ label }) => label)).toEqual(["happy", "angry", "calm"]);
      for (const { label, probability, probabilities } of predictions) {
        expect(Object.keys(probabilities)).toEqual(moods);
        expect(probability).toBe(probabilities[label]);
        const sum = Object.values(probabilities).reduce((a, b) => a + b, 0);
        expect(sum).toBeCloseTo(1, 12);
      }
    },
  );

  test("is measured on rows with labels, class by class", async () => {
    const test = [...rows.slice(0, 9), { text: textOf(0, 60), mood: "calm" }];
    write("test.jsonl", test);
    const session = await open(path("moods"));
    const config = dataOf("test.jsonl", ["label=mood"]);
    const score = await evaluateClassifier(session, config);
    const { predictions } = await classifyData(session, config);
    await session.close();
    expect(score).toMatchObject({ accuracy: 0.9, examples: 10 });
    expect(score.classes).toEqual([
      { label: "angry", rows: 3, predicted: 4, correct: 3 },
      { label: "calm", rows: 4, predicted: 3, correct: 3 },
      { label: "happy", rows: 3, predicted: 3, correct: 3 },
    ]);
    const losses = predictions.map(
      ({ probabilities }, i) => -Math.log(probabilities[test[i]!.mood]!),
    );
    expect(score.loss).toBeCloseTo(losses.reduce((a, b) => a + b, 0) / 10, 10);
  });

  test("gives no text, and a label it was not trained for is refused", async () => {
    const session = await open(path("moods"));
    await expect(session.decoder(64)).rejects.toThrow(/is a classifier \(angry, calm, happy\)/);
    await expect(session.logits(64)).rejects.toThrow(/Use facet classify/);
    write("other.jsonl", [{ text: "Day 1.", label: "hapy" }]);
    const measured = evaluateClassifier(session, dataOf("other.jsonl", []));
    await expect(measured).rejects.toThrow(
      /other\.jsonl, line 1: Unknown label "hapy"\. Did you mean "happy"\?/,
    );
    await session.close();
    const plain = openSession(await openModel(path("tiny")), engine);
    await expect(classify(plain, ["Day 1."])).rejects.toThrow(/is no classifier/);
  });
});

test("a run continues after an interruption with the bits that it would have had", async () => {
  const options = {
    ...{ maxSteps: 6, microBatchSize: 4, saveEvery: 2, dropout: 0.1, validationSplit: 0.3 },
    ...{ dora: true },
  };
  const whole = await finetune(input("whole", options), engine);
  const stop = new AbortController();
  const onEvent = (event: { kind: string; report?: { step: number } }) => {
    if (event.report?.step === 3) stop.abort();
  };
  const cut = await finetune(input("cut", options), engine, { signal: stop.signal, onEvent });
  expect(cut).toMatchObject({ status: "interrupted", steps: 3 });
  const resumed = await resumeFinetune(path("cut"), engine);
  expect(resumed.heldOut).toEqual(whole.heldOut);
  const file = "adapter/adapter_model.safetensors";
  expect(readFileSync(path("cut", file))).toEqual(readFileSync(path("whole", file)));
  expect(metrics("cut")).toEqual(metrics("whole"));
});

test("labels may be numbers, which are ordered by value; norms may be trained too", async () => {
  write(
    "stars.jsonl",
    rows.map(({ text }, i) => ({ text, label: [10, 2, 9][i % 3] })),
  );
  const options = { data: path("stars.jsonl"), columns: [], maxSteps: 2 };
  await finetune(input("stars", { ...options, alsoTrain: ["norms"] }), engine);
  const session = await open(path("stars"));
  expect(session.adapter!.labels).toEqual(["2", "9", "10"]);
  expect([...session.adapter!.whole!]).toEqual(
    expect.arrayContaining(["model.norm.weight", "score.weight"]),
  );
  expect(Object.keys((await classify(session, ["Day 1."]))[0]!.probabilities)).toHaveLength(3);
  await session.close();
});

describe("a run is refused", () => {
  test.each<[string, Partial<FinetuneInput>, RegExp]>([
    ["without labels", { columns: [] }, /moods\.jsonl, line 1: the row has no label\..*--columns/],
    ["with prompts", { prompts: ["Why?"] }, /--prompts does not go with --objective/],
    ["with packing", { packing: true }, /--packing does not go with/],
    [
      "with all weights",
      { method: "full", modules: ["q_proj", "v_proj"], layout: "keras" },
      /--method full does not go with/,
    ],
    ["with beta", { beta: 1 }, /--beta is only for/],
  ])("%s", async (_, options, message) => {
    await expect(finetune(input("refused", options), engine)).rejects.toThrow(message);
    expect(existsSync(path("refused"))).toBe(false);
  });

  test("with one class only, or a column that is none", async () => {
    write("one.jsonl", [
      { text: "Day one.", label: "x" },
      { text: "Day two.", label: "x" },
    ]);
    const one = input("refused", { data: path("one.jsonl"), columns: [] });
    await expect(finetune(one, engine)).rejects.toThrow(/all rows have the label "x"/);
    write(
      "many.jsonl",
      Array.from({ length: 1001 }, (_, i) => ({ text: "A day.", label: `${i}.` })),
    );
    const many = input("refused", { data: path("many.jsonl"), columns: [] });
    await expect(finetune(many, engine)).rejects.toThrow(/more than 1000 different values/);
  });
});
