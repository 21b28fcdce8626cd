import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { WeightType } from "../src/hub/weightTypes.js";
import type { Bench, Case } from "./case.js";
import { openChild } from "./childProcess.js";
import { sharedPaths } from "./places.js";
import { type AnyRow, type Row, round } from "./row.js";
import { smallFolder, smallGguf } from "./smallModel.js";
import { median, statistics } from "./statistics.js";
import type { GenerationSample } from "./workloads/generation.js";
import type { Peer } from "./workloads/peerStep.js";
import { smallConfig } from "./workloads/step.js";

/** Facet beside libraries from npm, in the same run. */
export const peerCases: Readonly<Record<string, Case>> = {
  "workload-s-peers": workloadSPeers,
  "generation-fp32": (bench) => generation(bench, "fp32"),
  "generation-int8": (bench) => generation(bench, "int8"),
  "generation-int4": (bench) => generation(bench, "int4"),
};

const installed = (path: string) => existsSync(fileURLToPath(new URL(path, import.meta.url)));

async function workloadSPeers(bench: Bench): Promise<AnyRow[]> {
  const folder = sharedPaths.workloadS;
  if (!existsSync(folder)) return [{ name: "workload-s-peers", skipped: `there is no ${folder}` }];
  const facet = openChild("workloadS", { folder, prepack: true, threads: bench.threads });
  await facet.run();
  const rows: AnyRow[] = [];
  try {
    for (const peer of ["tfjs", "jax"] as const) rows.push(await peerRow(bench, peer, facet));
  } finally {
    await facet.close();
  }
  return rows;
}

/** The peer's step, as a multiple of Facet's; their runs take turns. */
async function peerRow(
  bench: Bench,
  peer: Peer,
  facet: ReturnType<typeof openChild<"workloadS">>,
): Promise<AnyRow> {
  const name = `workload-s ${peer}`;
  if (!installed("./peers/node_modules")) {
    return { name, skipped: "it is not installed: npm ci --prefix bench/peers" };
  }
  const child = openChild("peerStep", { peer, folder: sharedPaths.workloadS });
  try {
    const first = await child.run();
    const samples = [];
    const ours: number[] = [];
    for (let i = 0; i < (bench.runs ?? 5); i++) {
      samples.push(await child.run());
      ours.push(...(await facet.run()).steps.map((step) => step.ms));
    }
    const times = statistics(samples.map((sample) => sample.ms));
    return {
      name,
      unit: "ms/step",
      ...times,
      ratio: { value: times.median / median(ours), of: `Facet at ${round(median(ours))} ms` },
      facts: {
        version: first.version,
        "first step ms": round(first.ms),
        "Facet threads": bench.threads,
        "loss error": round(Math.max(...samples.map((sample) => sample.lossError)), 2),
        "peak MiB": Math.round((await child.memory()).peak / 2 ** 20),
      },
      correct: samples.every((sample) => sample.lossError < 1e-4),
    };
  } catch (error) {
    return { name, skipped: `it fails: ${(error as Error).message}` };
  } finally {
    await child.close();
  }
}

const promptLength = 512;
const newTokens = 33;

/** Everything but norms: what a token must read, and what its products cost. */
const matrixParameters = (() => {
  const { numLayers, hiddenSize: d, intermediateSize, numHeads, headDim } = smallConfig;
  const { numKeyValueHeads, vocabularySize } = smallConfig;
  const attention = 2 * d * headDim * (numHeads + numKeyValueHeads);
  const layers = numLayers * (attention + 3 * d * intermediateSize);
  return { layers, all: layers + vocabularySize * d };
})();

/** Bytes of a value, in llama.cpp's blocks; the embedding of a Q4_0 file is Q8_0. */
const kinds = {
  fp32: { gguf: "F32", weights: "auto", layers: 4, embedding: 4 },
  int8: { gguf: "Q8_0", weights: "int8", layers: 34 / 32, embedding: 34 / 32 },
  int4: { gguf: "Q4_0", weights: "int4", layers: 18 / 32, embedding: 34 / 32 },
} as const satisfies Record<
  string,
  { gguf: string; weights: WeightType; layers: number; embedding: number }
>;

/** Prompt processing and decoding of the small shape at batch 1, by Facet and by llama.cpp, with the same weights. */
async function generation(bench: Bench, kind: keyof typeof kinds): Promise<AnyRow[]> {
  const { gguf, weights, ...valueBytes } = kinds[kind];
  const { layers, all } = matrixParameters;
  const bytes = valueBytes.layers * layers + valueBytes.embedding * (all - layers);
  const { threads } = bench;
  if (!existsSync(sharedPaths.gemmaTokenizer)) {
    return [{ name: `generation-${kind}`, skipped: `there is no ${sharedPaths.gemmaTokenizer}` }];
  }
  const file = await smallGguf(gguf);
  const model = kind === "fp32" ? await smallFolder() : file;
  const copy = openChild("copy", { threads });
  const sizes = { promptLength, newTokens, threads };
  const children: [string, ReturnType<typeof openChild<"generation" | "llama">>][] = [
    ["Facet", openChild("generation", { model, weights, ...sizes })],
  ];
  const rows: AnyRow[] = [];
  if (installed("../test/clients/llama/node_modules/node-llama-cpp")) {
    children.push(["llama.cpp", openChild("llama", { gguf: file, ...sizes })]);
  } else {
    const skipped = "it is not installed: npm ci --prefix test/clients/llama";
    rows.push({ name: `generation ${kind} llama.cpp`, skipped });
  }
  try {
    const bandwidths: number[] = [];
    const samples = new Map<string, GenerationSample[]>(children.map(([name]) => [name, []]));
    const ceilings: number[] = [];
    for (const [, child] of children) await child.run();
    for (let i = 0; i < (bench.runs ?? 5); i++) {
      for (const [name, child] of children) {
        const { samples: one, ceiling } = await bench.ceiling.interleave(child, 1, {
          warmUp: false,
        });
        samples.get(name)!.push(one[0] as GenerationSample);
        ceilings.push(ceiling);
        bandwidths.push(await copy.run());
      }
    }
    const bandwidth = median(bandwidths);
    for (const [name, child] of children) {
      const memory = Math.round((await child.memory()).peak / 2 ** 20);
      const own = samples.get(name)!;
      const about = { ...(own[0]!.version !== undefined && { version: own[0]!.version }) };
      rows.push(
        decodingRow(`decoding ${kind} ${name}`, own, {
          ...{ bytes, bandwidth },
          facts: { ...about, "peak MiB": memory },
        }),
        promptRow(`prompt ${kind} ${name}`, own, median(ceilings), about),
      );
    }
    return rows;
  } finally {
    for (const [, child] of children) await child.close();
    await copy.close();
  }
}

function decodingRow(
  name: string,
  samples: readonly GenerationSample[],
  about: { bytes: number; bandwidth: number; facts: Row["facts"] },
): Row {
  const speeds = statistics(samples.map(({ times }) => 1000 / median(times.slice(1))));
  const { bytes, bandwidth, facts } = about;
  return {
    name,
    unit: "tokens/s",
    ...speeds,
    ratio: {
      value: (speeds.median * bytes) / bandwidth,
      of: `copying at ${round(bandwidth / 1e9)} GB/s`,
    },
    facts: { "MB of weights a token": round(bytes / 1e6), ...facts },
  };
}

function promptRow(
  name: string,
  samples: readonly GenerationSample[],
  ceiling: number,
  facts: Row["facts"],
): Row {
  const times = statistics(samples.map(({ times: [first] }) => first!));
  // The logits of the last token only.
  const work = 2 * (promptLength * matrixParameters.layers + matrixParameters.all);
  const speeds = { median: times.median, min: times.min, max: times.max, runs: times.runs };
  return {
    name,
    unit: `ms for ${promptLength} tokens`,
    ...speeds,
    ratio: { value: work / times.median / 1e6 / ceiling, of: `Gemm at ${round(ceiling)} GFLOP/s` },
    facts: { "tokens/s": round((1000 * promptLength) / times.median), ...facts },
  };
}
