import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileDigest } from "../data/digest.js";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import { type FinetuneHooks, startRun } from "./finetune.js";
import { describeRun, prepare } from "./prepare.js";
import { readJsonLines, runPaths, versions } from "./runFolder.js";
import { changedInputs, engineRecord, readSavedRun, type SavedRun } from "./savedRun.js";

export interface Reproduction {
  readonly run: string;
  /** The folder of the repetition. */
  readonly repeated: string;
  /** Whether every file of the adapter, or of the model that was trained whole, has the same bytes. */
  readonly identical: boolean;
  readonly files: readonly { readonly name: string; readonly identical: boolean }[];
  /** The first step whose loss or gradient norm is another; none where all are equal. */
  readonly firstDifference: number | undefined;
  /** Versions that are others than the run's: a reason for a difference. */
  readonly versions: readonly {
    readonly name: string;
    readonly was: string;
    readonly now: string;
  }[];
}

/**
 * Repeats a finished run from its run.json, in the folder `into`, and compares the adapters byte by byte. Throws a
 * FacetError, before anything is trained, when the run is not finished, when its data, template or model have changed, or
 * when the engine rounds in another way than the run's.
 */
export async function reproduce(
  path: string,
  into: string,
  engine: Engine,
  hooks: FinetuneHooks = {},
): Promise<Reproduction> {
  const saved = readSavedRun(path);
  requireFinished(saved);
  requireEngine(saved, engine);
  const prepared = await prepare({ ...saved.config, run: into }, hooks.download);
  const changed = changedInputs(saved, (await describeRun(prepared, engine)).digests);
  if (changed.length > 0) {
    throw new FacetError(
      `${saved.folder} cannot be repeated: ${changed.join(", ")} ${changed.length === 1 ? "has" : "have"} changed since.`,
    );
  }
  const result = await startRun(prepared, engine, hooks);
  if (result.status === "interrupted") {
    throw new FacetError(
      `The repetition in ${result.run} was interrupted. Remove it and start again.`,
    );
  }
  const [then, now] = [runPaths(saved.folder), runPaths(result.run)];
  const made = saved.config.method === "full" ? "model" : "adapter";
  const files = await compareFolders(then[made], now[made]);
  return {
    run: saved.folder,
    repeated: result.run,
    identical: files.every((file) => file.identical),
    files,
    firstDifference: firstDifference(then.metrics, now.metrics),
    versions: changedVersions(saved),
  };
}

/** The settings of the engine that computed a run, to open one like it. Throws a FacetError when there were several. */
export function engineOf({ folder, engine }: SavedRun): Readonly<Record<string, number | boolean>> {
  if (engine !== null) return engine.settings;
  throw new FacetError(
    `${folder} was resumed with another --threads or --prepack-weights than it was started with, so no run can have its bits.`,
  );
}

function requireFinished({ folder }: SavedRun): void {
  if (existsSync(runPaths(folder).report)) return;
  throw new FacetError(
    `The run in ${folder} is not finished, so there is nothing to compare with. Continue it with --resume.`,
  );
}

function requireEngine(saved: SavedRun, engine: Engine): void {
  const then = JSON.stringify({ name: saved.engine?.name, settings: engineOf(saved) });
  const now = JSON.stringify(engineRecord(engine));
  if (then === now) return;
  throw new FacetError(
    `${saved.folder} was computed by the engine ${then}, this is ${now}: their sums are rounded in another order.`,
  );
}

function changedVersions(saved: SavedRun): Reproduction["versions"] {
  return Object.entries(versions())
    .map(([name, now]) => ({ name, was: saved.versions[name] ?? "unknown", now }))
    .filter(({ was, now }) => was !== now);
}

/** By digests, because a whole model may not fit into memory. */
async function compareFolders(then: string, now: string): Promise<Reproduction["files"]> {
  const names = new Set([...readdirSync(then), ...readdirSync(now)]);
  return Promise.all(
    [...names].sort().map(async (name) => {
      const [a, b] = [join(then, name), join(now, name)];
      const both = existsSync(a) && existsSync(b);
      return { name, identical: both && (await fileDigest(a)) === (await fileDigest(b)) };
    }),
  );
}

function firstDifference(then: string, now: string): number | undefined {
  const key = (line: { readonly step: number; loss?: number; gradient_norm?: number }) =>
    `${line.step} ${line.loss} ${line.gradient_norm}`;
  const known = readJsonLines(then).map(key);
  return readJsonLines(now).find((line, i) => key(line) !== known[i])?.step;
}
