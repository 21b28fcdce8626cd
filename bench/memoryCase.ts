import { join } from "node:path";
import { assets } from "../src/hub/places.js";
import { openChild } from "./childProcess.js";
import type { Row } from "./row.js";
import { smallFolder } from "./smallModel.js";

const mib = (bytes: number) => Math.round(bytes / 2 ** 20);

interface Shape {
  readonly model: "nano" | "small";
  readonly weights?: "int8";
  readonly rows?: number;
  readonly length: number;
  readonly recompute?: boolean;
}

/** The built-in model and the small one, as they are and in the ways that `--memory` chooses among. */
const shapes: readonly Shape[] = [
  { model: "nano", length: 128 },
  { model: "nano", length: 512 },
  { model: "nano", length: 512, rows: 8 },
  { model: "nano", length: 512, rows: 8, recompute: true },
  { model: "small", length: 128 },
  { model: "small", length: 512 },
  { model: "small", length: 512, recompute: true },
  { model: "small", length: 512, weights: "int8" },
];

/** What a training step was planned to take, beside the most that its process had resident. */
export async function memoryRows(threads: number): Promise<Row[]> {
  const folders = { nano: join(assets, "facet_nano_en"), small: await smallFolder() };
  const rows: Row[] = [];
  for (const { model, weights = "auto", rows: count = 1, length, recompute = false } of shapes) {
    const folder = folders[model];
    const child = openChild("plannedStep", {
      ...{ folder, weights, rows: count, length, recompute, threads },
    });
    try {
      const plan = await child.run();
      const { peak } = await child.memory();
      const parts = Object.entries(plan).map(([part, bytes]) => [`${part} MiB`, mib(bytes)]);
      const ways = `${weights === "auto" ? "" : ` ${weights}`}${recompute ? " recompute" : ""}`;
      const value = mib(peak);
      rows.push({
        name: `memory ${model} ${count}×${length}${ways}`,
        unit: "MiB",
        ...{ median: value, min: value, max: value, runs: 1 },
        ratio: { value: plan.total / peak, of: "planned ÷ measured" },
        facts: Object.fromEntries(parts),
        correct: Math.abs(plan.total / peak - 1) < 0.15,
      });
    } finally {
      await child.close();
    }
  }
  return rows;
}
