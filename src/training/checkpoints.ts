import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Parameters } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { writeFolderAtomic } from "../formats/atomicFile.js";
import { readSafetensorsHeader, readTensor } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import { readStrictJson } from "../formats/strictJson.js";
import type { LoopState } from "./loop.js";
import type { Optimizer, StateTensor } from "./optimizers/optimizer.js";

/**
 * A checkpoint is one folder, written under a temporary name and renamed: it is there whole or not
 * at all. It holds everything that N steps, kill, resume needs to equal N uninterrupted steps.
 *
 *   step-000100/parameters.safetensors   trainable variables
 *               optimizer.safetensors    the optimizer's state, as <what>/<variable>
 *               state.json               optimizer step, loop state, data cursor, the caller's notes
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
      counted: count,
    }),
  }),
  notes: z.unknown().optional(),
});

const checkpointName = (step: number) => `step-${String(step).padStart(6, "0")}`;

/** What a checkpoint may have besides. */
export interface CheckpointExtras {
  /** Steps whose checkpoints are kept, however old. */
  readonly besides?: readonly number[];
  /** What the caller has to know to go on, as JSON. */
  readonly notes?: unknown;
}

/** Writes a checkpoint and then removes all but the newest `keep` and those that are kept `besides`. Returns its folder. */
export async function saveCheckpoint(
  folder: string,
  parameters: Parameters,
  optimizer: Optimizer,
  loop: LoopState,
  keep: number,
  { besides = [], notes }: CheckpointExtras = {},
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const target = join(folder, checkpointName(loop.step));
  await writeFolderAtomic(target, (temporary) => {
    writeSafetensors(join(temporary, files.parameters), tensors(variablesOf(parameters)));
    writeSafetensors(join(temporary, files.optimizer), tensors(optimizer.state));
    const state = { optimizer: { name: optimizer.name, step: optimizer.step }, loop, notes };
    writeFileSync(join(temporary, files.state), JSON.stringify(state, null, 2));
  });
  const all = checkpoints(folder);
  const kept = new Set(besides.map(checkpointName));
  for (const old of all.slice(0, Math.max(0, all.length - keep))) {
    if (!kept.has(old)) rmSync(join(folder, old), { recursive: true });
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

/** The checkpoint of a step. */
export const checkpointAt = (folder: string, step: number): string =>
  join(folder, checkpointName(step));

/** The notes that a checkpoint was saved with. */
export const checkpointNotes = (checkpoint: string): unknown => readState(checkpoint).notes;

/**
 * Restores parameters, the optimizer's state and the loop's. Throws a FacetError when the checkpoint belongs to
 * another optimizer or does not hold exactly these variables.
 */
export function loadCheckpoint(
  checkpoint: string,
  parameters: Parameters,
  optimizer: Optimizer,
): LoopState {
  const state = readState(checkpoint);
  if (state.optimizer.name !== optimizer.name) {
    throw new FacetError(
      `${checkpoint} was written by optimizer ${state.optimizer.name}, this run uses ${optimizer.name}.`,
    );
  }
  const restored = [
    ...read(join(checkpoint, files.parameters), variablesOf(parameters)),
    ...read(join(checkpoint, files.optimizer), optimizer.state),
  ];
  // Nothing is changed before everything has been read.
  for (const { into, data } of restored) into.set(data);
  optimizer.step = state.optimizer.step;
  return state.loop;
}

function readState(checkpoint: string): z.output<typeof stateSchema> {
  const path = join(checkpoint, files.state);
  const parsed = stateSchema.safeParse(readStrictJson(path));
  if (parsed.success) return parsed.data;
  throw new FacetError(`${path}: ${z.prettifyError(parsed.error)}`);
}

type Tensors = ReadonlyMap<string, StateTensor>;

const variablesOf = ({ slots, values }: Parameters): Tensors =>
  new Map(
    slots.map(({ name, shape, offset, length }) => [
      name,
      { dtype: "F32", shape, data: values.subarray(offset, offset + length) },
    ]),
  );

const tensors = (named: Tensors) => [...named].map(([name, tensor]) => ({ name, ...tensor }));

interface Restored {
  readonly into: Float32Array | Uint8Array;
  readonly data: Float32Array | Uint8Array;
}

/** Reads tensors from a file that must hold exactly these. */
function read(path: string, wanted: Tensors): Restored[] {
  const stored = readSafetensorsHeader(path).tensors;
  const restored = [...wanted].map(([name, { dtype, shape, data }]) => {
    const tensor = stored.get(name);
    if (tensor?.dtype !== dtype || tensor.shape.join() !== shape.join()) {
      const found = tensor ? `is ${tensor.dtype} [${tensor.shape.join(", ")}]` : "is missing";
      throw new FacetError(
        `${path}: ${name} ${found}, expected ${dtype} [${shape.join(", ")}]. ` +
          "Resume with the model and adapter settings that the run was started with.",
      );
    }
    return { into: data, data: readTensor(tensor) as Float32Array | Uint8Array };
  });
  if (stored.size !== wanted.size) {
    throw new FacetError(`${path} holds ${stored.size} variables, this run has ${wanted.size}.`);
  }
  return restored;
}
