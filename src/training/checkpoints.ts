import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Parameters, Slot } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { writeFolderAtomic } from "../formats/atomicFile.js";
import { readFloat32, readSafetensorsHeader } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import { readStrictJson } from "../formats/strictJson.js";
import type { LoopState } from "./loop.js";
import type { Optimizer } from "./optimizers.js";

/**
 * A checkpoint is one folder, written under a temporary name and renamed: it is there whole or not
 * at all. It holds everything that N steps, kill, resume needs to equal N uninterrupted steps.
 *
 *   step-000100/parameters.safetensors   trainable variables
 *               optimizer.safetensors    moments, as <moment>/<variable>
 *               state.json               optimizer step, loop state, data cursor
 */
const files = {
  parameters: "parameters.safetensors",
  optimizer: "optimizer.safetensors",
  state: "state.json",
} as const;

const count = z.int().nonnegative();
const stateSchema = z.strictObject({
  optimizer: z.strictObject({ name: z.string(), step: count }),
  loop: z.strictObject({
    step: count,
    epoch: count,
    index: count,
    totals: z.strictObject({
      weightedLoss: z.number(),
      rows: count,
      correct: z.number(),
      targetTokens: count,
    }),
  }),
});

const checkpointName = (step: number) => `step-${String(step).padStart(6, "0")}`;

/** Writes a checkpoint and then removes all but the newest `keep`. Returns its folder. */
export async function saveCheckpoint(
  folder: string,
  parameters: Parameters,
  optimizer: Optimizer,
  loop: LoopState,
  keep: number,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const target = join(folder, checkpointName(loop.step));
  await writeFolderAtomic(target, (temporary) => {
    writeSafetensors(
      join(temporary, files.parameters),
      tensors(parameters.slots, parameters.values),
    );
    const moments = Object.entries(optimizer.moments).flatMap(([moment, buffer]) =>
      tensors(parameters.slots, buffer, `${moment}/`),
    );
    writeSafetensors(join(temporary, files.optimizer), moments);
    const state = { optimizer: { name: optimizer.name, step: optimizer.step }, loop };
    writeFileSync(join(temporary, files.state), JSON.stringify(state, null, 2));
  });
  const all = checkpoints(folder);
  for (const old of all.slice(0, Math.max(0, all.length - keep))) {
    rmSync(join(folder, old), { recursive: true });
  }
  return target;
}

/** Names of the checkpoints in a folder, oldest first. */
function checkpoints(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^step-\d+$/.test(name))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
}

/** The newest checkpoint's folder, if there is one. */
export function latestCheckpoint(folder: string): string | undefined {
  const newest = checkpoints(folder).at(-1);
  return newest === undefined ? undefined : join(folder, newest);
}

/**
 * Restores parameters, moments and loop state. Throws a FacetError when the checkpoint belongs to
 * another optimizer or does not hold exactly these variables.
 */
export function loadCheckpoint(
  checkpoint: string,
  parameters: Parameters,
  optimizer: Optimizer,
): LoopState {
  const path = join(checkpoint, files.state);
  const parsed = stateSchema.safeParse(readStrictJson(path));
  if (!parsed.success) throw new FacetError(`${path}: ${z.prettifyError(parsed.error)}`);
  const state = parsed.data;
  if (state.optimizer.name !== optimizer.name) {
    throw new FacetError(
      `${checkpoint} was written by optimizer ${state.optimizer.name}, this run uses ${optimizer.name}.`,
    );
  }
  const moments = Object.entries(optimizer.moments).map(([name, data]) => [`${name}/`, data]);
  const restored = [
    ...read(join(checkpoint, files.parameters), parameters.slots, { "": parameters.values }),
    ...read(join(checkpoint, files.optimizer), parameters.slots, Object.fromEntries(moments)),
  ];
  // Nothing is changed before everything has been read.
  for (const { buffer, offset, data } of restored) buffer.set(data, offset);
  optimizer.step = state.optimizer.step;
  return state.loop;
}

function tensors(slots: readonly Slot[], buffer: Float32Array, prefix = "") {
  return slots.map(({ name, shape, offset, length }) => ({
    name: prefix + name,
    dtype: "F32" as const,
    shape,
    data: buffer.subarray(offset, offset + length),
  }));
}

interface Restored {
  readonly buffer: Float32Array;
  readonly offset: number;
  readonly data: Float32Array;
}

/** Reads what belongs into buffers, by prefix, from a file that must hold exactly their variables. */
function read(
  path: string,
  slots: readonly Slot[],
  buffers: Readonly<Record<string, Float32Array>>,
): Restored[] {
  const stored = readSafetensorsHeader(path).tensors;
  const expected = Object.keys(buffers).length * slots.length;
  const restored = Object.entries(buffers).flatMap(([prefix, buffer]) =>
    slots.map(({ name, shape, offset }) => {
      const tensor = stored.get(prefix + name);
      if (tensor === undefined || tensor.shape.join() !== shape.join()) {
        const found = tensor ? `has shape [${tensor.shape.join(", ")}]` : "is missing";
        throw new FacetError(
          `${path}: ${prefix}${name} ${found}, expected [${shape.join(", ")}]. ` +
            "Resume with the model and adapter settings that the run was started with.",
        );
      }
      return { buffer, offset, data: readFloat32(tensor) };
    }),
  );
  if (stored.size !== expected) {
    throw new FacetError(`${path} holds ${stored.size} variables, this run has ${expected}.`);
  }
  return restored;
}
