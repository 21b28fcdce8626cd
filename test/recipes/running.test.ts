import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { FacetError } from "../../src/errors.js";
import { finetune, resumeFinetune } from "../../src/recipes/finetune.js";
import type { FinetuneInput } from "../../src/recipes/finetuneConfig.js";
import type { FinetuneEvent } from "../../src/recipes/finetuneEvents.js";
import { tinyFamilyFolder } from "../support/tinyFamilies.js";

const folder = mkdtempSync(join(tmpdir(), "facet-running-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const place = (...names: string[]) => join(folder, ...names);
const engine = onnxEngine({ threads: 1 });

beforeAll(() => {
  tinyFamilyFolder("gemma1_tiny", place("tiny"));
  const rows = Array.from({ length: 30 }, (_, i) => ({
    instruction: `How many is ${i} and ${i + 1}?`,
    response: `It is ${2 * i + 1}, of course.`,
  }));
  writeFileSync(place("rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});

let runs = 0;
async function run(options: Partial<FinetuneInput>, signal?: AbortSignal) {
  const events: FinetuneEvent[] = [];
  const input = {
    ...{ model: place("tiny"), data: place("rows.jsonl"), run: place(`run-${runs++}`) },
    ...{ sequenceLength: 64, validationSplit: 0.3, batchSize: 2, learningRate: 0.01 },
    ...options,
  };
  const hooks = {
    onEvent: (event: FinetuneEvent) => {
      events.push(event);
    },
    ...(signal && { signal }),
  };
  const result = await finetune(input, engine, hooks);
  const lines = (name: string) =>
    readFileSync(join(result.run, name), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  return { result, events, lines, input };
}
const adapter = (path: string) => readFileSync(join(path, "adapter", "adapter_model.safetensors"));
const checkpoints = (path: string) =>
  readdirSync(join(path, "checkpoints")).map((name) => Number(name.slice(5)));

describe("metrics", () => {
  test("have loss, perplexity, accuracy, norms of layers, rate, speed and memory", async () => {
    const { lines, events } = await run({ maxSteps: 2, validationSplit: 0 });
    const [first, second, ...rest] = lines("metrics.jsonl");
    expect(rest).toEqual([]);
    expect(first).toMatchObject({ step: 1, epoch: 0, learning_rate: 0.01 });
    expect(first.perplexity).toBe(Math.exp(first.loss));
    expect(Object.keys(first.gradient_norms)).toEqual(["layer_0", "layer_1", "layer_2"]);
    const all = Math.hypot(...(Object.values(first.gradient_norms) as number[]));
    expect(all).toBeCloseTo(first.gradient_norm, 5);
    expect(first.memory).toBeGreaterThan(2 ** 20);
    const told = events.flatMap((event) => (event.kind === "metrics" ? [event.metrics] : []));
    expect(told).toEqual([first, second]);
  });

  test("every N steps are the means of these steps", async () => {
    const one = (await run({ maxSteps: 5, validationSplit: 0 })).lines("metrics.jsonl");
    const three = (await run({ maxSteps: 5, validationSplit: 0, logEvery: 3 })).lines(
      "metrics.jsonl",
    );
    expect(three.map(({ step }) => step)).toEqual([3, 5]);
    const tokens = one.slice(0, 3).reduce((sum, line) => sum + line.target_tokens, 0);
    const loss = one.slice(0, 3).reduce((sum, line) => sum + line.loss * line.target_tokens, 0);
    expect(three[0].target_tokens).toBe(tokens);
    expect(three[0].loss).toBeCloseTo(loss / tokens, 12);
  });
});

describe("validation during training", () => {
  test("comes every N steps and at the end, and is in metrics, events and report", async () => {
    const { result, events, lines } = await run({ maxSteps: 5, evaluateEvery: 2 });
    const held = lines("metrics.jsonl").filter((line) => "held_out_loss" in line);
    expect(held.map(({ step }) => step)).toEqual([2, 4, 5]);
    const during = events.filter((event) => event.kind === "evaluation" && event.when === "during");
    expect(during).toHaveLength(3);
    expect(held.at(-1).held_out_loss).toBe(result.heldOut!.after.loss);
    expect(result.best!.loss).toBe(Math.min(...held.map((line) => line.held_out_loss)));
    expect(readFileSync(join(result.run, "report.html"), "utf8")).toMatch(/[Vv]alidation|held-out/);
  });

  test("comes at fractions of an epoch", async () => {
    const { lines } = await run({ epochs: 2, evaluateEpochs: 0.5 });
    const all = lines("metrics.jsonl");
    const steps = all.filter((line) => "loss" in line).length;
    const held = all.filter((line) => "held_out_loss" in line).map(({ step }) => step);
    const half = Math.ceil(steps / 4);
    expect(held).toEqual([half, steps / 2, steps / 2 + half, steps]);
  });

  test("changes nothing of what is learned", async () => {
    const plain = await run({ maxSteps: 6, ema: 0.5, dropout: 0.2 });
    const validated = await run({
      ...{ maxSteps: 6, ema: 0.5, dropout: 0.2, evaluateEvery: 1, histogramEvery: 2 },
      ...{ prompts: ["Why?"], sampleEvery: 2, sampleLength: 24 },
    });
    expect(adapter(validated.result.run).equals(adapter(plain.result.run))).toBe(true);
  });

  test("sees the average, which is what is saved", async () => {
    const { result, lines } = await run({ maxSteps: 6, ema: 0.9, evaluateEvery: 3 });
    const held = lines("metrics.jsonl").filter((line) => "held_out_loss" in line);
    expect(held.at(-1).held_out_loss).toBe(result.heldOut!.after.loss);
  });
});

describe("early stopping", () => {
  const rising = { learningRate: 0.3, optimizer: "sgd", evaluateEvery: 2, epochs: 20 } as const;

  test("ends a run after validations without improvement, as a finished one", async () => {
    const { result, lines } = await run({ ...rising, patience: 2, minDelta: 10 });
    expect(result).toMatchObject({ status: "finished", stoppedEarly: true, steps: 6 });
    expect(lines("metrics.jsonl").filter((line) => "held_out_loss" in line)).toHaveLength(3);
    expect(existsSync(join(result.run, "report.html"))).toBe(true);
  });

  test("does not go on when the run is resumed after it", async () => {
    const { result } = await run({ ...rising, patience: 2, minDelta: 10 });
    const before = adapter(result.run);
    rmSync(join(result.run, "report.html"));
    const again = await resumeFinetune(result.run, engine);
    expect(again).toMatchObject({ status: "finished", stoppedEarly: true, steps: 6 });
    expect(adapter(result.run).equals(before)).toBe(true);
  });
});

describe("checkpoints", () => {
  test("keep the last k, and the best besides", async () => {
    const { result, lines } = await run({
      ...{ maxSteps: 12, epochs: 2, evaluateEvery: 2, learningRate: 0.2, saveEvery: 1 },
      ...{ keepLast: 3, keepBest: 2 },
    });
    const best = lines("metrics.jsonl")
      .filter((line) => "held_out_loss" in line)
      .sort((a, b) => a.held_out_loss - b.held_out_loss)
      .slice(0, 2)
      .map(({ step }) => step);
    const expected = [...new Set([...best, 10, 11, 12])].sort((a, b) => a - b);
    expect(checkpoints(result.run)).toEqual(expected);
  });

  test("of the best validation are the adapter, if asked", async () => {
    const options = { maxSteps: 16, epochs: 2, evaluateEvery: 2, learningRate: 0.5, seed: 4 };
    const last = await run(options);
    const best = await run({ ...options, useBest: true });
    const { step, loss } = best.result.best!;
    expect(step).toBeLessThan(16);
    expect(best.result.heldOut!.after.loss).toBe(loss);
    expect(last.result.heldOut!.after.loss).toBeGreaterThan(loss);
    expect(checkpoints(best.result.run)).toEqual([step, 16]);
  });
});

test("samples during training are written with their step, and for TensorBoard", async () => {
  const { result, lines } = await run({
    ...{ maxSteps: 5, prompts: ["How many?", "Why?"], sampleEvery: 2, sampleLength: 30 },
    histogramEvery: 5,
  });
  const samples = lines("samples-during.jsonl");
  expect(samples.map(({ step, prompt }) => [step, prompt])).toEqual([
    [2, "How many?"],
    [2, "Why?"],
    [4, "How many?"],
    [4, "Why?"],
  ]);
  const name = readdirSync(result.run).find((file) => file.startsWith("events.out"))!;
  const events = readFileSync(join(result.run, name), "latin1");
  for (const tag of [
    "samples/Why?",
    "gradient_norm/layer_2",
    "train/perplexity",
    "gradients/model.layers.0.self_attn.q_proj.lora_b",
    "variables/",
  ]) {
    expect(events, tag).toContain(tag);
  }
});

describe("watchdogs stop a run", () => {
  test("that diverges, and keep its checkpoint", async () => {
    const options = {
      epochs: 9,
      learningRate: 3,
      optimizer: "sgd",
      momentum: 0.99,
      divergence: 0.2,
    } as const;
    const stopped = run(options);
    await expect(stopped).rejects.toThrow(FacetError);
    await expect(stopped).rejects.toThrow(/The loss diverges at step \d+: /);
    expect(checkpoints(place(`run-${runs - 1}`))).toHaveLength(1);
  });

  test("that learns nothing", async () => {
    const options = { epochs: 30, limit: 2, learningRate: 1e-12, validationSplit: 0, batchSize: 2 };
    await expect(run({ ...options, constantSteps: 10 })).rejects.toThrow(
      /The loss has been \d\.\d+ for 10 steps, up to step 10: nothing is learned/,
    );
    expect((await run({ ...options, constantSteps: 0 })).result.status).toBe("finished");
  });

  test("whose numbers overflow, and name the variable", async () => {
    await expect(run({ learningRate: 1e30, epochs: 3 })).rejects.toThrow(
      /not a finite number at step \d.*(model\.layers\.\d\.self_attn\.\w+\.lora_[ab])/,
    );
  });
});

test.each<[Partial<FinetuneInput>, string]>([
  [{ evaluateEvery: 2, evaluateEpochs: 1 }, "Give either --evaluate-every or --evaluate-epochs."],
  [{ evaluateEvery: 2, validationSplit: 0 }, "--evaluate-every needs rows to evaluate on"],
  [{ patience: 2 }, "--patience needs --evaluate-every or --evaluate-epochs."],
  [{ keepBest: 2 }, "--keep-best needs --evaluate-every"],
  [{ useBest: true }, "--use-best needs --evaluate-every"],
  [{ minDelta: 0.1, evaluateEvery: 2 }, "--min-delta is for --patience."],
  [{ sampleEvery: 2 }, "--sample-every needs --prompts to answer."],
])("%j is refused, because it would do nothing", async (options, message) => {
  await expect(run(options)).rejects.toThrow(message);
});
