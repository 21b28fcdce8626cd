import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Pairs } from "../data/pairBatches.js";
import { FacetError } from "../errors.js";
import { readFloat32, readSafetensorsHeader } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import type { Session } from "../runtime/session.js";
import type { BatchSource } from "../training/loop.js";
import { type ReferenceScores, scorePairs } from "../training/preferences.js";

const fileOf = (run: string) => join(run, "reference.safetensors");

/** Some pairs whose log-probabilities are wanted, as they are called in the file. */
export interface ReferencePart {
  readonly name: string;
  readonly pairs: Pairs;
  readonly indices: readonly number[];
}

/**
 * The base model's log-probabilities of pairs, part by part: from the run's folder, or computed and written there. Throws
 * a FacetError for a file that is not of these pairs.
 */
export async function referenceScores(
  run: string,
  base: Session,
  parts: readonly ReferencePart[],
  options: {
    readonly padId: number;
    readonly sequenceLength: number;
    /** Told of the number of pairs before they are computed. */
    readonly onCompute: (pairs: number) => void;
  },
): Promise<readonly ReferenceScores[]> {
  const path = fileOf(run);
  if (existsSync(path)) return parts.map((part) => readPart(path, part));
  options.onCompute(parts.reduce((sum, { indices }) => sum + indices.length, 0));
  const program = await base.evaluation(options.sequenceLength);
  const all: ReferenceScores[] = [];
  for (const { pairs, indices } of parts) {
    all.push(await scorePairs(program, base.parameters, pairs, { ...options, indices }));
  }
  const tensors = parts.flatMap(({ name }, i) =>
    (["chosen", "rejected"] as const).map((side) => {
      const data = all[i]![side];
      return { name: `${name}.${side}`, dtype: "F32", shape: [data.length], data } as const;
    }),
  );
  writeSafetensors(path, tensors);
  return all;
}

function readPart(path: string, { name, pairs }: ReferencePart): ReferenceScores {
  const { tensors } = readSafetensorsHeader(path);
  const side = (which: keyof Pairs) => {
    const stored = tensors.get(`${name}.${which}`);
    if (stored?.shape.join() !== String(pairs.chosen.length)) {
      throw new FacetError(
        `${path} does not hold the log-probabilities of this run's pairs. Remove it, and they are computed again.`,
      );
    }
    return readFloat32(stored);
  };
  return { chosen: side("chosen"), rejected: side("rejected") };
}

/** The examples that a run of so many steps visits. */
export function visited(source: BatchSource, totalSteps: number): number[] {
  const seen = new Set<number>();
  for (let epoch = 0, step = 0; step < totalSteps; epoch++) {
    for (let index = 0; index < source.stepsIn(epoch) && step < totalSteps; index++, step++) {
      for (const { rows } of source.batches(epoch, index)) for (const row of rows) seen.add(row);
    }
  }
  return [...seen];
}
