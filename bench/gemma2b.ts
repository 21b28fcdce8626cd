/** `npm run bench:2b`: trains and runs a random-weight model of the exact shape of gemma_2b. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FacetError, unknownName } from "../src/errors.js";
import { presets } from "../src/hub/presets.js";
import { openChild } from "./childProcess.js";
import { conditions } from "./machine.js";
import type { ResidentMemory } from "./memory.js";
import { cacheFolder, sharedPaths } from "./places.js";
import { runProgram } from "./program.js";
import { randomCheckpoint } from "./randomCheckpoint.js";
import { median } from "./statistics.js";
import type { Gemma2bOptions } from "./workloads/gemma2b.js";
import type { SampleOf } from "./workloads/index.js";

/** The most that may be resident, in GiB. */
const limits = {
  bf16: { training: 8, generation: 8 },
  int8: { training: 6, generation: 6 },
  int4: { training: 5, generation: 2.5 },
} as const;
type Weights = keyof typeof limits;
const parts = ["training", "generation"] as const;

const steps = 3;
const newTokens = 16;
const threads = 2;

async function main(): Promise<void> {
  const { json, weights, only } = readOptions();
  const { gemmaTokenizer, dolly } = sharedPaths;
  for (const path of [gemmaTokenizer, dolly]) {
    if (!existsSync(path)) throw new FacetError(`There is no ${path}. Set FACET_SHARED.`);
  }
  const folder = join(cacheFolder(), "gemma_2b_random");
  const config = presets.gemma_2b_en!.config;
  if (!existsSync(folder)) process.stderr.write(`writing ${folder} (5 GB) …\n`);
  await randomCheckpoint(folder, config, "bfloat16", gemmaTokenizer);

  const results: object[] = [];
  const problems: string[] = [];
  for (const type of weights) {
    const options = { folder, weights: type, data: dolly, steps, newTokens, threads };
    // The most that was resident is known of a process, so each part has one of its own.
    if (only !== "generation") {
      const sample = await runOnce("gemma2bTraining", options);
      problems.push(...trainingProblems(sample, type));
      results.push({ weights: type, ...trainingSummary(sample) });
    }
    if (only !== "training") {
      const sample = await runOnce("gemma2bGeneration", options);
      problems.push(...generationProblems(sample, type));
      results.push({ weights: type, ...generationSummary(sample) });
    }
  }
  const report = { ...conditions(threads), results, problems };
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else for (const entry of [conditions(threads), ...results, { problems }]) console.log(entry);
  if (problems.length > 0) process.exitCode = 1;
}

function readOptions() {
  const usage =
    "npm run bench:2b -- [--weights bf16,int8,int4] [--only training|generation] [--json]";
  try {
    const { values } = parseArgs({
      options: {
        json: { type: "boolean", default: false },
        weights: { type: "string", default: Object.keys(limits).join() },
        only: { type: "string" },
      },
    });
    const weights = values.weights.split(",");
    for (const name of weights) {
      if (!Object.hasOwn(limits, name)) throw unknownName("type", name, Object.keys(limits));
    }
    if (values.only !== undefined && !parts.some((part) => part === values.only)) {
      throw unknownName("part", values.only, parts);
    }
    return { ...values, weights: weights as Weights[] };
  } catch (error) {
    throw new FacetError(`${(error as Error).message}\nUsage: ${usage}`);
  }
}

async function runOnce<N extends "gemma2bTraining" | "gemma2bGeneration">(
  name: N,
  options: Gemma2bOptions,
): Promise<SampleOf<N>> {
  const child = openChild(name, options);
  try {
    return await child.run();
  } finally {
    await child.close();
  }
}

function trainingSummary(sample: SampleOf<"gemma2bTraining">) {
  const stepMs = sample.steps.map((step) => Math.round(step.ms));
  return {
    trainableParameters: sample.parameters,
    rowTokens: sample.lengths,
    losses: sample.losses,
    stepMs,
    // The first step reads the weights from the disk.
    tokensPerSecond: (1000 * median(sample.lengths.slice(1))) / median(stepMs.slice(1)),
    memory: inGiB(sample.memory),
  };
}

function generationSummary(sample: SampleOf<"gemma2bGeneration">) {
  return {
    ids: sample.ids,
    text: sample.text,
    firstTokenSeconds: sample.secondsPerToken[0],
    // The first token reads the whole prompt; each later one is a step through the cache.
    secondsPerLaterToken: median(sample.secondsPerToken.slice(1)),
    memory: inGiB(sample.memory),
  };
}

/** What is wrong with a run, in sentences; empty when nothing is. */
function trainingProblems(sample: SampleOf<"gemma2bTraining">, weights: Weights): string[] {
  const problems = memoryProblems(sample.memory, weights, "training");
  if (sample.losses.length !== steps) problems.push(`only ${sample.losses.length} steps ran`);
  // Random weights know nothing: a loss is the logarithm of the vocabulary, and a little more.
  const expected = Math.log(presets.gemma_2b_en!.config.vocabularySize);
  if (sample.losses.some((loss) => !(Math.abs(loss - expected) < 2))) {
    problems.push(`a loss is not near ${expected.toFixed(2)}: ${sample.losses.join(", ")}`);
  }
  return problems;
}

function generationProblems(sample: SampleOf<"gemma2bGeneration">, weights: Weights): string[] {
  const problems = memoryProblems(sample.memory, weights, "generation");
  if (sample.ids.length !== newTokens) {
    problems.push(`${sample.ids.length} tokens were generated, not ${newTokens}`);
  }
  return problems;
}

function memoryProblems(
  { peak }: ResidentMemory,
  weights: Weights,
  part: (typeof parts)[number],
): string[] {
  const limit = limits[weights][part];
  if (peak < limit * 2 ** 30) return [];
  return [`${part} with ${weights}: the peak of ${gib(peak)} GiB is not below ${limit} GiB`];
}

const gib = (bytes: number): number => Math.round((bytes / 2 ** 30) * 100) / 100;

const inGiB = (memory: ResidentMemory) =>
  Object.fromEntries(
    Object.entries(memory).flatMap(([name, bytes]) =>
      bytes === undefined ? [] : [[name, gib(bytes as number)]],
    ),
  );

await runProgram(main);
