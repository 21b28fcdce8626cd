/** `npm run bench:export`: exports an adapter of gemma_2b's exact shape, and the whole model with it merged. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writePeft } from "../src/adapters/peft.js";
import { FacetError } from "../src/errors.js";
import { presets } from "../src/hub/presets.js";
import { createAdapter } from "../src/lora/adapter.js";
import { toPeft } from "../src/lora/peft.js";
import { gemmaModules } from "../src/models/gemma/weights.js";
import type { ExportTargetName } from "../src/recipes/exportTargets.js";
import { openChild } from "./childProcess.js";
import { conditions } from "./machine.js";
import { cacheFolder, sharedPaths } from "./places.js";
import { runProgram } from "./program.js";
import { randomCheckpoint } from "./randomCheckpoint.js";

const threads = 2;
const memoryLimit = 4 * 2 ** 30;
/** Longest an adapter may take; reading the base's headers and vocabulary is most of it. */
const secondsLimit = 10;

const files: Partial<Record<ExportTargetName, string>> = {
  gguf: "exported.gguf",
  "merged-gguf": "exported.gguf",
};
const adapterTargets: readonly ExportTargetName[] = ["peft", "gguf", "mlx"];
const wholeTargets: readonly ExportTargetName[] = ["merged", "merged-gguf"];

async function main(): Promise<void> {
  const { json, proof } = readOptions();
  if (!existsSync(sharedPaths.gemmaTokenizer)) {
    throw new FacetError(`There is no ${sharedPaths.gemmaTokenizer}. Set FACET_SHARED.`);
  }
  const model = join(cacheFolder(), "gemma_2b_random");
  const { config } = presets.gemma_2b_en!;
  if (!existsSync(model)) process.stderr.write(`writing ${model} (5 GB) …\n`);
  await randomCheckpoint(model, config, "bfloat16", sharedPaths.gemmaTokenizer);
  const adapter = join(cacheFolder(), "gemma_2b_adapter");
  await writeAdapter(adapter);

  const problems: string[] = [];
  const rows = [];
  for (const to of [...adapterTargets, ...wholeTargets]) {
    const whole = wholeTargets.includes(to);
    const row = await exported({ to, model, adapter, verify: proof });
    rows.push(row);
    if (row.proof?.holds === false) problems.push(`${to}: the proof does not hold`);
    // A proof runs both models; their mapped weights count as resident.
    if (proof) continue;
    if (whole && row.peak >= memoryLimit) problems.push(`${to}: its peak is not below 4 GiB`);
    if (!whole && row.seconds > secondsLimit) problems.push(`${to}: more than ${secondsLimit} s`);
  }
  const result = { ...conditions(threads), rows: rows.map(shown), problems };
  if (json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else {
    console.log(conditions(threads));
    console.table(rows.map(shown));
    for (const problem of problems) console.log(`problem: ${problem}`);
  }
  if (problems.length > 0) process.exitCode = 1;
}

function readOptions() {
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({ options: { json: flag, proof: flag } }).values;
  } catch (error) {
    const usage = "Usage: npm run bench:export -- [--proof] [--json]";
    throw new FacetError(`${(error as Error).message}\n${usage}`);
  }
}

/** Rank 4 on query and value in Keras's layout, the tutorial's, with small random numbers in B. */
async function writeAdapter(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const modules = gemmaModules(presets.gemma_2b_en!.config);
  const adapter = createAdapter(
    { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout: "keras" },
    modules,
    0,
  );
  adapter.parameters.values.forEach((value, i, values) => {
    values[i] = value + 0.001 * Math.sin(i);
  });
  await writePeft(folder, { matrices: toPeft(adapter).matrices, baseModel: "gemma_2b" }, modules);
}

async function exported(job: {
  to: ExportTargetName;
  model: string;
  adapter: string;
  verify: boolean;
}) {
  const out = join(cacheFolder(), files[job.to] ?? "exported");
  rmSync(out, { recursive: true, force: true });
  process.stderr.write(`${job.to} …\n`);
  const child = openChild("export2b", { ...job, out, threads });
  try {
    const sample = await child.run();
    return { ...sample, to: job.to, ...(await child.memory()) };
  } finally {
    await child.close();
  }
}

const gib = (bytes: number | undefined) =>
  bytes === undefined ? undefined : Math.round((bytes / 2 ** 30) * 100) / 100;

const shown = ({ to, seconds, proof, peak, anonymous }: Awaited<ReturnType<typeof exported>>) => ({
  to,
  seconds: Math.round(seconds * 100) / 100,
  peakGiB: gib(peak),
  anonymousGiB: gib(anonymous),
  relativeError: proof?.relativeError,
});

await runProgram(main);
