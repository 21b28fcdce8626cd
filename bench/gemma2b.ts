/** `npm run bench:2b`: trains and runs a random-weight model of the exact shape of gemma_2b. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FacetError } from "../src/errors.js";
import { presets } from "../src/hub/presets.js";
import { openChild } from "./childProcess.js";
import { conditions } from "./machine.js";
import type { ResidentMemory } from "./memory.js";
import { cacheFolder, sharedPaths } from "./places.js";
import { runProgram } from "./program.js";
import { randomCheckpoint } from "./randomCheckpoint.js";
import { median } from "./statistics.js";
import type { SampleOf } from "./workloads/index.js";

const memoryLimit = 16 * 2 ** 30;
const steps = 3;
const newTokens = 16;

async function main(): Promise<void> {
  const json = readOptions();
  const { gemmaTokenizer, dolly } = sharedPaths;
  for (const path of [gemmaTokenizer, dolly]) {
    if (!existsSync(path)) throw new FacetError(`There is no ${path}. Set FACET_SHARED.`);
  }
  const folder = join(cacheFolder(), "gemma_2b_random");
  const config = presets.gemma_2b_en!.config;
  if (!existsSync(folder)) process.stderr.write(`writing ${folder} (5 GB) …\n`);
  await randomCheckpoint(folder, config, "bfloat16", gemmaTokenizer);

  const threads = 2;
  const options = { folder, data: dolly, steps, newTokens, threads };
  const child = openChild("gemma2b", options);
  try {
    const sample = await child.run();
    const problems = check(sample);
    const result = { ...conditions(threads), ...summary(sample), problems };
    if (json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    else for (const [name, value] of Object.entries(result)) console.log(`${name}:`, value);
    if (problems.length > 0) process.exitCode = 1;
  } finally {
    await child.close();
  }
}

function readOptions(): boolean {
  try {
    return parseArgs({ options: { json: { type: "boolean", default: false } } }).values.json;
  } catch (error) {
    throw new FacetError(`${(error as Error).message}\nUsage: npm run bench:2b -- [--json]`);
  }
}

function summary(sample: SampleOf<"gemma2b">) {
  const stepMs = sample.steps.map((step) => Math.round(step.ms));
  const trainSeconds = stepMs.reduce((a, b) => a + b, 0) / 1000;
  return {
    trainableParameters: sample.parameters,
    rowTokens: sample.lengths,
    losses: sample.losses,
    stepMs,
    trainTokensPerSecond: sample.targetTokens / trainSeconds,
    generatedIds: sample.generated,
    generatedText: sample.text,
    firstTokenSeconds: sample.secondsPerToken[0],
    // The first token reads the whole prompt; each later one is a step through the cache.
    secondsPerLaterToken: median(sample.secondsPerToken.slice(1)),
    memoryAfterTraining: inGiB(sample.afterTraining),
    memoryAfterGeneration: inGiB(sample.afterGeneration),
    peakGiB: gib(sample.afterGeneration.peak),
  };
}

/** What is wrong with the run, in sentences; empty when nothing is. */
function check(sample: SampleOf<"gemma2b">): string[] {
  const problems: string[] = [];
  const { peak } = sample.afterGeneration;
  if (peak >= memoryLimit) problems.push(`the peak of ${gib(peak)} GiB is not below 16 GiB`);
  if (sample.losses.length !== steps) problems.push(`only ${sample.losses.length} steps ran`);
  // Random weights know nothing: a loss is the logarithm of the vocabulary, and a little more.
  const expected = Math.log(presets.gemma_2b_en!.config.vocabularySize);
  if (sample.losses.some((loss) => !(Math.abs(loss - expected) < 2))) {
    problems.push(`a loss is not near ${expected.toFixed(2)}: ${sample.losses.join(", ")}`);
  }
  if (sample.generated.length !== newTokens) {
    problems.push(`${sample.generated.length} tokens were generated, not ${newTokens}`);
  }
  return problems;
}

const gib = (bytes: number): number => Math.round((bytes / 2 ** 30) * 100) / 100;

const inGiB = (memory: ResidentMemory) =>
  Object.fromEntries(
    Object.entries(memory).flatMap(([name, bytes]) =>
      bytes === undefined ? [] : [[name, gib(bytes as number)]],
    ),
  );

await runProgram(main);
