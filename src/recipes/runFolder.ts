import { appendFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileDigest } from "../data/digest.js";
import { FacetError } from "../errors.js";
import { cleanTemporaries, writeFileAtomic } from "../formats/atomicFile.js";
import { parseStrictJson, readText } from "../formats/strictJson.js";
import { latestCheckpoint } from "../training/checkpoints.js";

/** The places inside a run folder. */
export const runPaths = (folder: string) => ({
  run: join(folder, "run.json"),
  metrics: join(folder, "metrics.jsonl"),
  checkpoints: join(folder, "checkpoints"),
  adapter: join(folder, "adapter"),
  model: join(folder, "model"),
  samples: join(folder, "samples.jsonl"),
  samplesDuring: join(folder, "samples-during.jsonl"),
  report: join(folder, "report.html"),
});

/** Makes the folder of a new run. Throws a FacetError when something is there already. */
export function createRunFolder(path: string): string {
  const folder = resolve(path);
  if (existsSync(folder)) {
    throw new FacetError(
      `The run folder ${folder} exists already. Choose another --run, or continue that run with --resume.`,
    );
  }
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Removes the folder of a new run that fails before its first checkpoint, so that its name is free again. */
export async function discardIfUnstarted<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (latestCheckpoint(runPaths(folder).checkpoints) === undefined)
      rmSync(folder, { recursive: true });
    throw error;
  }
}

/** The folder of a run to be continued, without the leftovers of a writer that was killed. */
export function reopenRunFolder(path: string): string {
  const folder = resolve(path);
  const { run, checkpoints } = runPaths(folder);
  if (!existsSync(run)) {
    throw new FacetError(`There is no run to resume in ${folder}: it has no run.json.`);
  }
  for (const place of [folder, checkpoints]) if (existsSync(place)) cleanTemporaries(place);
  return folder;
}

export function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Adds a line to a JSON Lines file. Throws a FacetError when it cannot be written. */
export function appendJsonLine(path: string, value: unknown): void {
  try {
    appendFileSync(path, `${JSON.stringify(value)}\n`);
  } catch (error) {
    throw new FacetError(
      `Cannot write ${path}: ${(error as Error).message}. The run's last checkpoint is whole; make room and resume.`,
    );
  }
}

/** A report of a run: its step, and other numbers. */
interface Metrics {
  readonly step: number;
}

/** The lines of a run's metrics.jsonl; none when there is no file. Throws a FacetError for a damaged one. */
export function readJsonLines(path: string): Metrics[] {
  if (!existsSync(path)) return [];
  return readText(path)
    .split("\n")
    .flatMap((line, i) => (line === "" ? [] : [parseLine(line, `${path}, line ${i + 1}`)]));
}

function parseLine(line: string, where: string): Metrics {
  const value = parseStrictJson(line, where) as Partial<Metrics> | null;
  if (typeof value?.step === "number") return value as Metrics;
  throw new FacetError(`${where}: not the report of a step. The file is damaged.`);
}

/** Drops the lines of steps after `step`, which a resumed run will write again. */
export function forgetLaterSteps(path: string, step: number): void {
  if (!existsSync(path)) return;
  const lines = readText(path).split("\n");
  const kept = lines.filter((line, i) => {
    // A killed writer may leave half a line at the end.
    if (!line.endsWith("}")) return false;
    return parseLine(line, `${path}, line ${i + 1}`).step <= step;
  });
  writeFileAtomic(path, kept.map((line) => `${line}\n`).join(""));
}

/** Versions that a run's numbers depend on. */
export function versions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const version = (path: string) => (require(path) as { version: string }).version;
  return {
    facet: version("../../package.json"),
    node: process.version,
    onnxruntime: version("onnxruntime-node/package.json"),
    platform: `${platform()}-${arch()}`,
  };
}

/** sha256 of each file, by its name, or by its path where another file has that name. */
export async function fileDigests(paths: Iterable<string>): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const path of new Set(paths)) {
    const name = basename(path);
    digests[name in digests ? path : name] = await fileDigest(path);
  }
  return digests;
}
