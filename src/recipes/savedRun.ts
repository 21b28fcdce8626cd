import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import { readStrictJson } from "../formats/strictJson.js";
import { validated } from "../validation.js";
import { type FinetuneConfig, finetuneSchema } from "./finetuneConfig.js";
import type { describeRun } from "./prepare.js";
import { runPaths, writeJson } from "./runFolder.js";

/** What Facet reads again of the run.json that it wrote. */
const savedSchema = z.object({
  command: z.literal("finetune"),
  config: z.unknown(),
  versions: z.record(z.string(), z.string()),
  /** Null when the run was computed by engines of different settings. */
  engine: z
    .object({
      name: z.string(),
      settings: z.record(z.string(), z.union([z.number(), z.boolean()])),
    })
    .nullable(),
  digests: z.object({
    data: z.string(),
    template: z.string(),
    base: z.record(z.string(), z.string()),
  }),
});

export interface SavedRun extends z.output<typeof savedSchema> {
  readonly folder: string;
  readonly config: FinetuneConfig;
}

/** Reads the run.json of a fine-tuning run; `path` is the file or its folder. Throws a FacetError when it is no such run. */
export function readSavedRun(path: string): SavedRun {
  const isFile = path.endsWith(".json");
  const folder = resolve(isFile ? dirname(path) : path);
  const file = isFile ? path : runPaths(folder).run;
  if (!existsSync(file)) throw new FacetError(`There is no run in ${folder}: it has no run.json.`);
  const parsed = savedSchema.safeParse(readStrictJson(file));
  if (!parsed.success) {
    throw new FacetError(
      `${file} is not that of a fine-tuning run:\n${z.prettifyError(parsed.error)}`,
    );
  }
  return {
    ...parsed.data,
    folder,
    config: validated(finetuneSchema, parsed.data.config, "finetune"),
  };
}

export const engineRecord = ({ name, settings }: Engine) => ({ name, settings });

/** Notes in run.json that the run goes on with this engine, when its results are rounded in another way. */
export function recordEngine({ folder, engine }: SavedRun, next: Engine): void {
  if (engine === null || isDeepEqual(engine, engineRecord(next))) return;
  const path = runPaths(folder).run;
  writeJson(path, { ...(readStrictJson(path) as object), engine: null });
}

type Digests = Awaited<ReturnType<typeof describeRun>>["digests"];

/** What of a run's inputs is not what it was when the run started: "the data", "the template", names of model files. */
export function changedInputs({ digests: then }: SavedRun, now: Digests): string[] {
  const changed: string[] = [];
  if (then.data !== now.data) changed.push("the data");
  if (then.template !== now.template) changed.push("the template");
  const files = new Set([...Object.keys(then.base), ...Object.keys(now.base)]);
  for (const file of files) {
    if (then.base[file] !== now.base[file]) changed.push(`the base model's ${file}`);
  }
  return changed;
}

const isDeepEqual = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
