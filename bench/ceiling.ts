import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Child, openChild } from "./childProcess.js";
import { cacheFolder } from "./places.js";
import { writeRandomTensors } from "./randomCheckpoint.js";
import { type Row, round } from "./row.js";
import { median, statistics } from "./statistics.js";
import { type GemmTime, type GemmTimes, gemmFlops, gemmTensor } from "./workloads/gemm.js";
import type { SampleOf, WorkloadName } from "./workloads/index.js";

const rate = (ms: number): number => gemmFlops / ms / 1e6;
const medianMs = (times: readonly GemmTime[]): number => median(times.map((time) => time.ms));

/** The fastest way of running the product, by its median over the rounds. */
function best(rounds: readonly GemmTimes[]): { name: string; times: GemmTime[] } {
  const variants = Object.keys(rounds[0]!).map((name) => ({
    name,
    times: rounds.map((times) => times[name]!),
  }));
  return variants.reduce((a, b) => (medianMs(b.times) < medianMs(a.times) ? b : a));
}

export interface Interleaved<N extends WorkloadName> {
  readonly samples: SampleOf<N>[];
  /** GFLOP/s of the large Gemm between these samples, by wall time. */
  readonly ceiling: number;
  /** GFLOP per second of processor time. */
  readonly cpuCeiling: number;
}

/** The large Gemm in a process of its own, to be run between the samples of everything else. */
export function openCeiling(threads: number) {
  const file = join(cacheFolder(), "gemm.safetensors");
  if (!existsSync(file)) writeRandomTensors(file, [gemmTensor], "float32");
  const child = openChild("gemm", { file, threads });
  const all: GemmTimes[] = [];
  let warm = false;

  const measure = async (): Promise<GemmTimes> => {
    if (!warm) await child.run();
    warm = true;
    const times = await child.run();
    all.push(times);
    return times;
  };
  return {
    /** Runs a child once to warm up, then `runs` times with a Gemm before and after each. */
    async interleave<N extends WorkloadName>(
      other: Child<N>,
      runs: number,
      { warmUp = true } = {},
    ): Promise<Interleaved<N>> {
      if (warmUp) await other.run();
      const rounds = [await measure()];
      const samples: SampleOf<N>[] = [];
      for (let i = 0; i < runs; i++) {
        samples.push(await other.run());
        rounds.push(await measure());
      }
      const { times } = best(rounds);
      const cpuCeiling = rate(median(times.map((time) => time.cpuMs)));
      return { samples, ceiling: rate(medianMs(times)), cpuCeiling };
    },
    /** All rounds of this process's life; at least `runs` of them. */
    async row(runs: number): Promise<Row> {
      while (all.length < runs) await measure();
      const { name, times } = best(all);
      const variants = Object.keys(all[0]!).map((variant) => {
        const typical = rate(medianMs(all.map((times) => times[variant]!)));
        return [`GFLOP/s of ${variant}`, round(typical)] as const;
      });
      const slowest = Math.min(...variants.map(([, value]) => value));
      return {
        name: "gemm",
        unit: "GFLOP/s",
        ...statistics(times.map((time) => rate(time.ms))),
        ratio: { value: rate(medianMs(times)) / slowest, of: "slowest variant" },
        facts: { product: "512×2048 · 2048×8192", best: name, ...Object.fromEntries(variants) },
      };
    },
    close: () => child.close(),
  };
}

export type Ceiling = ReturnType<typeof openCeiling>;
