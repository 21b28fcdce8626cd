import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensorsHeader, type SafetensorsDType } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import type { Tensor } from "../../src/graph/index.js";
import { frozenWeights } from "../../src/models/gemma/model.js";

/** Writes random `[rows, columns]` matrices `<prefix>0`, `<prefix>1`, … to a file and gives them as frozen weights. */
export function writeMatrices(
  folder: string,
  options: {
    dtype: SafetensorsDType;
    count: number;
    rows: number;
    columns: number;
    file?: string;
    prefix?: string;
  },
): { path: string; weights: Tensor[] } {
  const { dtype, count, rows, columns, file = "weights.safetensors", prefix = "m" } = options;
  const path = join(folder, file);
  const names = Array.from({ length: count }, (_, i) => prefix + i);
  const matrix = (seed: number) => {
    const data = new Float32Array(rows * columns);
    // A cheap sequence is random enough, and its values are exact in bfloat16 and float16.
    let state = seed + 1;
    for (let i = 0; i < data.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      data[i] = ((state >>> 26) - 32) / 64;
    }
    return data;
  };
  writeSafetensors(
    path,
    names.map((name, i) => ({ name, dtype, shape: [rows, columns], data: () => matrix(i) })),
  );
  const tensor = frozenWeights(readSafetensorsHeader(path).tensors);
  return { path, weights: names.map(tensor) };
}

/** Memory that is this process's own and backed by no file, in bytes (Linux). */
export function anonymousMemory(): number {
  const [, kilobytes] = /^Anonymous:\s+(\d+) kB/m.exec(
    readFileSync("/proc/self/smaps_rollup", "utf8"),
  )!;
  return Number(kilobytes) * 1024;
}
