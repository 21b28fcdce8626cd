import { createHash } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { finetune } from "../../src/recipes/finetune.js";
import { type FinetuneInput, finetuneSchema } from "../../src/recipes/finetuneConfig.js";
import { tinyFamilyFolder } from "../support/tinyFamilies.js";

const folder = mkdtempSync(join(tmpdir(), "facet-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const place = (name: string) => join(folder, name);

interface Change {
  readonly to: Partial<FinetuneInput>;
  /** What else has to be so for the option to have a meaning. */
  readonly given?: Partial<FinetuneInput>;
}

const diverging = {
  optimizer: "sgd",
  momentum: 0.99,
  learningRate: 3,
  epochs: 9,
  maxSteps: 50,
} as const;
const validating = { validationSplit: 0.4, evaluateEvery: 1 };

/** For every option another value, and what the option needs beside it. */
const changes: Readonly<Record<string, Change>> = {
  model: { to: { model: place("other") } },
  weights: { to: { weights: "int8" } },
  data: { to: { data: place("more.jsonl") } },
  objective: { to: { objective: "dpo" }, given: { data: place("pairs.jsonl") } },
  beta: { to: { beta: 0.5 }, given: { objective: "orpo", data: place("pairs.jsonl") } },
  mix: { to: { mix: [3, 1] }, given: { data: [place("rows.jsonl"), place("more.jsonl")] } },
  run: { to: { run: place("elsewhere") } },
  filter: { to: { filter: ["no-context"] } },
  columns: { to: { columns: ["response=context"] }, given: { filter: [], limit: 5 } },
  template: { to: { template: "{instruction} {response}" } },
  limit: { to: { limit: 3 } },
  targets: { to: { targets: "completion" } },
  overlong: { to: { overlong: "cut-prompt-left" }, given: { sequenceLength: 20 } },
  sequenceLength: { to: { sequenceLength: 20 } },
  validationSplit: { to: { validationSplit: 0.4 } },
  method: { to: { method: "full" } },
  alsoTrain: { to: { alsoTrain: ["norms"] } },
  rank: { to: { rank: 3 } },
  alpha: { to: { alpha: 16 } },
  rankPattern: { to: { rankPattern: ["v_proj=2"] }, given: { layout: "standard" } },
  alphaPattern: { to: { alphaPattern: ["v_proj=16"] }, given: { layout: "standard" } },
  rslora: { to: { rslora: true } },
  modules: { to: { modules: ["o_proj"] } },
  layers: { to: { layers: "1" } },
  layout: { to: { layout: "standard" } },
  dora: { to: { dora: true }, given: { layout: "standard" } },
  start: { to: { start: "pissa" }, given: { layout: "standard" } },
  neftune: { to: { neftune: 5 } },
  dropout: { to: { dropout: 0.5 } },
  epochs: { to: { epochs: 2 }, given: { maxSteps: undefined, batchSize: 8 } },
  maxSteps: { to: { maxSteps: 2 } },
  batchSize: { to: { batchSize: 3 } },
  microBatchSize: { to: { microBatchSize: 1 } },
  learningRate: { to: { learningRate: 0.02 } },
  schedule: { to: { schedule: "cosine" } },
  warmupSteps: { to: { warmupSteps: 2 } },
  finalFraction: { to: { finalFraction: 0.5 } },
  schedulePower: { to: { schedulePower: 3 }, given: { schedule: "polynomial" } },
  decayFraction: { to: { decayFraction: 0.9 }, given: { schedule: "wsd" } },
  optimizer: { to: { optimizer: "lion" } },
  weightDecay: { to: { weightDecay: 0.5 } },
  beta1: { to: { beta1: 0.5 } },
  beta2: { to: { beta2: 0.5 } },
  epsilon: { to: { epsilon: 1e-2 } },
  momentum: { to: { momentum: 0.5 }, given: { optimizer: "sgd" } },
  decayExclude: { to: { decayExclude: ["lora_a"] }, given: { weightDecay: 0.5 } },
  loraPlusRatio: { to: { loraPlusRatio: 4 } },
  ema: { to: { ema: 0.5 } },
  nesterov: { to: { nesterov: true }, given: { optimizer: "sgd", momentum: 0.5 } },
  clipNorm: { to: { clipNorm: 1e-3 } },
  packing: { to: { packing: true }, given: { maxSteps: 2 } },
  groupByLength: { to: { groupByLength: false } },
  shuffle: { to: { shuffle: false } },
  recompute: { to: { recompute: true } },
  // Into which no run fits; what it chooses is in fitMemory.test.ts.
  memory: { to: { memory: "1MiB" } },
  logEvery: { to: { logEvery: 2 } },
  histogramEvery: { to: { histogramEvery: 2 } },
  evaluateEvery: { to: { evaluateEvery: 2 }, given: { validationSplit: 0.4 } },
  evaluateEpochs: { to: { evaluateEpochs: 0.5 }, given: { validationSplit: 0.4 } },
  patience: { to: { patience: 1 }, given: { ...validating, learningRate: 1 } },
  minDelta: { to: { minDelta: 9 }, given: { ...validating, patience: 1, learningRate: 1e-3 } },
  sampleEvery: { to: { sampleEvery: 2 }, given: { prompts: ["Why?"] } },
  saveEvery: { to: { saveEvery: 1 } },
  keepLast: { to: { keepLast: 4 }, given: { saveEvery: 1 } },
  keepBest: { to: { keepBest: 2 }, given: { ...validating, learningRate: 1, epochs: 2 } },
  useBest: { to: { useBest: true }, given: { ...validating, learningRate: 1 } },
  divergence: { to: { divergence: 1e-3 }, given: diverging },
  constantSteps: { to: { constantSteps: 2 }, given: { learningRate: 1e-12, limit: 2, epochs: 4 } },
  prompts: { to: { prompts: ["Why?"] } },
  sampleLength: { to: { sampleLength: 24 }, given: { prompts: ["Why?"] } },
  repetitionPenalty: { to: { repetitionPenalty: 5 }, given: { prompts: ["Why?"] } },
  seed: { to: { seed: 1 } },
};

const base: FinetuneInput = {
  model: place("tiny"),
  data: place("rows.jsonl"),
  run: place("run"),
  sequenceLength: 64,
  batchSize: 2,
  maxSteps: 4,
  learningRate: 0.01,
  sampleLength: 40,
};

beforeAll(() => {
  tinyFamilyFolder("gemma1_tiny", place("tiny"));
  tinyFamilyFolder("gemma3_tiny", place("other"));
  const rows = Array.from({ length: 12 }, (_, i) => ({
    instruction: `How many is ${i} and ${i + 1}?`,
    context: i % 2 === 0 ? "Numbers can be added." : "",
    response: `It is ${2 * i + 1}${", of course".repeat(i % 4)}.`,
  }));
  const write = (name: string, some: readonly object[]) =>
    writeFileSync(place(name), some.map((row) => `${JSON.stringify(row)}\n`).join(""));
  write("rows.jsonl", rows);
  write(
    "pairs.jsonl",
    rows.map(({ instruction, response }) => ({
      ...{ prompt: instruction, chosen: response, rejected: "Nobody knows." },
    })),
  );
  write(
    "more.jsonl",
    rows.map((row) => ({ ...row, response: "Nobody knows." })),
  );
});

/** Everything that a run leaves: the programs it compiled, and the files of its folder without clocks and names. */
async function traces(input: FinetuneInput): Promise<Record<string, string>> {
  const engine = onnxEngine({ threads: 1 });
  const found: Record<string, string> = {};
  const watched: Engine = {
    ...engine,
    compile(program, options) {
      const { name } = options ?? {};
      found[`program ${Object.keys(found).length}`] = `${name} of ${program.nodes.length}`;
      return engine.compile(program, options);
    },
  };
  const run = input.run!;
  try {
    await finetune(input, watched);
  } catch (error) {
    const { message } = error as Error;
    // Only a watchdog or the memory may stop the run.
    expect(message).toMatch(/diverges|nothing is learned|does not fit/);
    found.error = message;
  }
  if (!existsSync(run)) return found;
  for (const file of readdirSync(run, { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(run, file);
    if (file.startsWith("events.out")) found.events = `${statSync(path).size} bytes`;
    const isClocked = /run\.json|report\.html|events\.out/.test(file);
    if (isClocked || statSync(path).isDirectory()) continue;
    const bytes = readFileSync(path, "latin1").replaceAll(
      /"(tokens_per_second|memory)":[^,}]*/g,
      "",
    );
    found[relative(folder, path)] = createHash("sha256").update(bytes).digest("hex");
  }
  rmSync(run, { recursive: true });
  return found;
}

const unchanged = new Map<string, Promise<Record<string, string>>>();
function tracesWithout(given: Partial<FinetuneInput>): Promise<Record<string, string>> {
  const key = JSON.stringify(given);
  const known = unchanged.get(key) ?? traces({ ...base, ...given });
  unchanged.set(key, known);
  return known;
}

describe("every option of finetune", () => {
  test("has a change below", () => {
    expect(Object.keys(changes).sort()).toEqual(Object.keys(finetuneSchema.shape).sort());
  });

  test.each(Object.entries(changes))("%s changes something", async (key, { to, given = {} }) => {
    expect(Object.keys(to)).toEqual([key]);
    const before = await tracesWithout(given);
    expect(await traces({ ...base, ...given, ...to })).not.toEqual(before);
  });

  test("and nothing changes without a change", async () => {
    expect(await traces(base)).toEqual(await tracesWithout({}));
  });
});
