import { existsSync } from "node:fs";
import { join } from "node:path";
import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { readFloat32, readSafetensorsHeader } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import type { Adapter } from "../lora/adapter.js";

const fileOf = (run: string) => join(run, "start.safetensors");

export const hasStart = (run: string): boolean => existsSync(fileOf(run));

/** Writes what an adapter started from into its run's folder; its checkpoints are worth nothing without. */
export function writeStart(run: string, { parameters, start }: Adapter): void {
  const tensors = Object.entries(views(parameters.slots, start!)).map(
    ([name, { shape, data }]) => ({ name, dtype: "F32", shape, data }) as const,
  );
  writeSafetensors(fileOf(run), tensors);
}

/** The adapter with what it started from. Throws a FacetError when the file does not hold exactly its variables. */
export function readStart(run: string, adapter: Adapter): Adapter {
  const path = fileOf(run);
  const { slots, values } = adapter.parameters;
  const { tensors } = readSafetensorsHeader(path);
  const start = new Float32Array(values.length);
  for (const { name, shape, offset } of slots) {
    const stored = tensors.get(name);
    if (stored?.shape.join() !== shape.join() || tensors.size !== slots.length) {
      throw new FacetError(`${path} is not what this run's adapter started from: ${name} differs.`);
    }
    start.set(readFloat32(stored), offset);
  }
  return { ...adapter, start };
}
