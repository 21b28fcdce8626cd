import { existsSync } from "node:fs";
import { openChild } from "./childProcess.js";
import { sharedPaths } from "./places.js";
import { type AnyRow, round } from "./row.js";
import { median, statistics } from "./statistics.js";
import type { StepTime } from "./stepTimes.js";
import type { PaddingSample } from "./workloads/padding.js";

const rows = 1000;

/**
 * What 1,000 rows of Dolly take without padding, alone and packed, as a part of what as many full rows
 * would take. Estimated from every 25th row and pack.
 */
export async function paddingRows(
  folder: string,
  threads: number,
  runs: number,
): Promise<AnyRow[]> {
  const { dolly: data, gemmaTokenizer: tokenizer } = sharedPaths;
  for (const path of [data, tokenizer]) {
    if (!existsSync(path)) return [{ name: "dolly-small", skipped: `there is no ${path}` }];
  }
  const child = openChild("padding", { folder, tokenizer, data, rows, threads });
  try {
    await child.run();
    const samples: PaddingSample[] = [];
    for (let i = 0; i < runs; i++) samples.push(await child.run());
    const mean = (steps: readonly StepTime[]) =>
      steps.reduce((sum, { ms }) => sum + ms, 0) / steps.length / 1000;
    const padded = rows * median(samples.map(({ full }) => mean(full.steps)));
    const row = (name: string, seconds: readonly number[]): AnyRow => {
      const times = statistics(seconds);
      const ratio = { value: times.median / padded, of: `${round(padded)} s for full rows` };
      const tokens = samples[0]!.tokens;
      const facts = {
        "times faster": round(padded / times.median, 3),
        tokens,
        "times fewer tokens": round((rows * 512) / tokens, 3),
        "tokens/s": round(tokens / times.median),
      };
      return { name, unit: "s/1,000 rows", ...times, ratio, facts };
    };
    return [
      row(
        "dolly-small alone",
        samples.map(({ alone }) => rows * mean(alone.steps)),
      ),
      row(
        "dolly-small packed",
        samples.map(({ packed, packs }) => packs * mean(packed.steps)),
      ),
    ];
  } finally {
    await child.close();
  }
}
