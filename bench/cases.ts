import { existsSync } from "node:fs";
import { join } from "node:path";
import { presetOnThisMachine } from "../src/hub/locate.js";
import type { Bench, Case } from "./case.js";
import type { Interleaved } from "./ceiling.js";
import { type Child, openChild } from "./childProcess.js";
import { dataCases } from "./dataCases.js";
import { loraStepFlops, type StepFlops } from "./flops.js";
import { memoryRows } from "./memoryCase.js";
import { paddingRows } from "./paddingCase.js";
import { parameterRows } from "./parameters.js";
import { peerCases } from "./peerCases.js";
import { sharedPaths } from "./places.js";
import { type AnyRow, type Row, round } from "./row.js";
import { smallFolder } from "./smallModel.js";
import { statistics } from "./statistics.js";
import type { TrainingSample } from "./stepTimes.js";
import { dollyLora } from "./workloads/dollyNano.js";
import type { WorkloadName } from "./workloads/index.js";
import { smallConfig, stepLora } from "./workloads/step.js";
import { workloadSBatch, workloadSConfig, workloadSLora } from "./workloads/workloadS.js";

/** Every case, in the order of the table. The Gemm comes last: it collects the rounds of the others. */
export const cases: Readonly<Record<string, Case>> = {
  parameters: async () => parameterRows(),
  "step-small-512": (bench) => smallStep(bench, 512, 5),
  "step-small-128": (bench) => smallStep(bench, 128, 10),
  "workload-s": workloadS,
  "dolly-small": async ({ threads, runs }) => paddingRows(await smallFolder(), threads, runs ?? 2),
  "dolly-nano": dollyNano,
  javascript,
  memory: ({ threads }) => memoryRows(threads),
  ...dataCases,
  ...peerCases,
  gemm: async (bench) => [await bench.ceiling.row(bench.runs ?? 10)],
};

const stepTimes = (samples: readonly TrainingSample[]) =>
  samples.flatMap((sample) => sample.steps.map((step) => step.ms));

interface Speed {
  readonly samples: readonly TrainingSample[];
  readonly ceiling: number;
  readonly cpuCeiling: number;
}

/** The row of a training step whose work is known: time, speed, and speed as a part of the ceiling. */
function stepRow(
  name: string,
  { samples, ceiling, cpuCeiling }: Speed,
  work: StepFlops & { readonly tokens: number },
  peak: number,
): Row {
  const times = statistics(stepTimes(samples));
  const rate = (flops: number) => flops / times.median / 1e6;
  const cpuMs = samples.reduce((sum, sample) => sum + sample.cpuMs, 0) / times.runs;
  return {
    name,
    unit: "ms/step",
    ...times,
    ratio: { value: rate(work.required) / ceiling, of: `Gemm at ${round(ceiling)} GFLOP/s` },
    facts: {
      "tokens/s": round((work.tokens / times.median) * 1000),
      "GFLOP/step": round(work.required / 1e9),
      "GFLOP/s": round(rate(work.required)),
      "% counting dense attention": round((100 * rate(work.dense)) / ceiling, 3),
      "CPU ms/step": round(cpuMs),
      "% by CPU time": round((100 * work.required) / cpuMs / 1e6 / cpuCeiling, 3),
      "peak MiB": Math.round(peak / 2 ** 20),
    },
  };
}

async function smallStep(bench: Bench, length: number, runs: number): Promise<Row[]> {
  const folder = await smallFolder();
  const flops = loraStepFlops(smallConfig, stepLora, 1, length);
  return variants(`step-small-${length}`, async (name, prepack) => {
    const child = openChild("step", { folder, length, prepack, threads: bench.threads });
    return measured(bench, child, runs, (result, peak) =>
      stepRow(name, result, { ...flops, tokens: length }, peak),
    );
  });
}

async function workloadS(bench: Bench): Promise<AnyRow[]> {
  const folder = sharedPaths.workloadS;
  if (!existsSync(folder)) return [{ name: "workload-s", skipped: `there is no ${folder}` }];
  const { size, length } = workloadSBatch;
  const flops = loraStepFlops(workloadSConfig, workloadSLora, size, length);
  return variants("workload-s", async (name, prepack) => {
    const child = openChild("workloadS", { folder, prepack, threads: bench.threads });
    return measured(bench, child, 3, (result, peak) => {
      const row = stepRow(name, result, { ...flops, tokens: size * length }, peak);
      const lossError = Math.max(...result.samples.map((sample) => sample.lossError));
      const parameterError = Math.max(...result.samples.map((sample) => sample.parameterError));
      const errors = {
        "loss error": round(lossError, 2),
        "parameter error": round(parameterError, 2),
      };
      const correct = lossError < 5e-5 && parameterError < 1e-4;
      return { ...row, facts: { ...row.facts, ...errors }, correct };
    });
  });
}

/** Why the rows with Dolly and the built-in model cannot be measured here, if so. */
async function missingForDolly({ model }: Bench): Promise<string | undefined> {
  if (!existsSync(sharedPaths.dolly)) return `there is no ${sharedPaths.dolly}`;
  const folder = (await presetOnThisMachine(model)) ?? model;
  if (!existsSync(join(folder, "config.json"))) {
    return `there is no model in ${folder}; give one with --model`;
  }
  return undefined;
}

async function dollyNano(bench: Bench): Promise<AnyRow[]> {
  const name = "dolly-nano";
  const missing = await missingForDolly(bench);
  if (missing !== undefined) return [{ name, skipped: missing }];
  const { model, threads } = bench;
  const child = openChild("dolly", {
    model,
    data: sharedPaths.dolly,
    rows: 1000,
    heldOut: 200,
    threads,
  });
  const row = await measured(
    bench,
    child,
    1,
    ({ samples, ceiling }, peak): Row => {
      const { lengths, config, before, after, targetTokens } = samples[0]!;
      const flops = lengths.reduce(
        (sum, length) => sum + loraStepFlops(config, dollyLora, 1, length).required,
        0,
      );
      const times = statistics(samples.map((sample) => sample.trainSeconds));
      const rate = flops / times.median / 1e9;
      return {
        name,
        unit: "s/epoch",
        ...times,
        ratio: { value: rate / ceiling, of: `Gemm at ${round(ceiling)} GFLOP/s` },
        facts: {
          rows: lengths.length,
          "target tokens": targetTokens,
          "target tokens/s": round(targetTokens / times.median),
          "held-out loss before": round(before),
          "held-out loss after": round(after),
          "GFLOP/s": round(rate),
          "peak MiB": Math.round(peak / 2 ** 20),
        },
        correct: after < before,
      };
    },
    { warmUp: false },
  );
  return [row];
}

/** How much of a step passes outside the engine. */
async function javascript(bench: Bench): Promise<AnyRow[]> {
  const { model, threads } = bench;
  const folder = await smallFolder();
  const small = openChild("step", { folder, length: 512, prepack: false, threads });
  const rows: AnyRow[] = [
    await measured(bench, small, 5, ({ samples }) => shareRow("javascript small-512", samples)),
  ];
  const missing = await missingForDolly(bench);
  if (missing !== undefined) return [...rows, { name: "javascript nano", skipped: missing }];
  const data = sharedPaths.dolly;
  const nano = openChild("dolly", { model, data, rows: 200, heldOut: 8, threads });
  rows.push(
    await measured(bench, nano, 1, ({ samples }) => shareRow("javascript nano", samples), {
      warmUp: false,
    }),
  );
  return rows;
}

function shareRow(name: string, samples: readonly TrainingSample[]): Row {
  const steps = samples.flatMap((sample) => sample.steps);
  const outside = statistics(steps.map((step) => step.ms - step.engineMs));
  const { median: whole } = statistics(stepTimes(samples));
  return {
    name,
    unit: "ms/step",
    ...outside,
    ratio: { value: outside.median / whole, of: "whole step" },
    facts: { "ms/step": round(whole) },
  };
}

/** Each case with mapped weights, and with the copy of them that is packed for products. */
async function variants(
  name: string,
  run: (name: string, prepack: boolean) => Promise<Row>,
): Promise<Row[]> {
  return [await run(name, false), await run(`${name} prepacked`, true)];
}

/** Interleaves a child with the Gemm, makes its row, and ends it. */
async function measured<N extends WorkloadName>(
  bench: Bench,
  child: Child<N>,
  runs: number,
  row: (result: Interleaved<N>, peakBytes: number) => Row,
  options: { warmUp?: boolean } = {},
): Promise<Row> {
  try {
    const result = await bench.ceiling.interleave(child, bench.runs ?? runs, options);
    return row(result, (await child.memory()).peak);
  } finally {
    await child.close();
  }
}
