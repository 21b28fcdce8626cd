import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { FacetError } from "../errors.js";
import { readJsonObject } from "../formats/strictJson.js";
import { runPaths } from "./runFolder.js";

/** The model that a run, one of its checkpoints or a PEFT folder says it was trained on. */
export function baseModelOf(adapter: string): string {
  const model = runOf(adapter)?.config?.model;
  if (typeof model === "string") return model;
  const peft = join(adapter, "adapter_config.json");
  if (existsSync(peft)) {
    const { base_model_name_or_path: base } = readJsonObject(peft);
    if (typeof base === "string" && base !== "") return base;
  }
  throw new FacetError(`${adapter} does not say which model it belongs to. Give --model.`);
}

/** The name or source of the template that a run was trained with. Throws a FacetError for what is no run. */
export function templateOf(adapter: string): string {
  const template = trainedTemplateOf(adapter);
  if (template !== undefined) return template.name;
  throw new FacetError(
    `${adapter} does not say how prompts were rendered in training. Give --template.`,
  );
}

/** The template that a run was trained with. */
export interface TrainedTemplate {
  /** A built-in's name, the name of a file, or a source. */
  readonly name: string;
  /** What `--template` was, a file by its whole path; undefined where the data decided. */
  readonly spec: string | undefined;
  /** Of its source, in hexadecimal. */
  readonly sha256: string | undefined;
}

/** What a run says of its template; undefined for what is no run. */
export function trainedTemplateOf(adapter: string): TrainedTemplate | undefined {
  const run = runOf(adapter);
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  const name = text(run?.data?.template);
  if (name === undefined) return undefined;
  return { name, spec: text(run?.config?.template), sha256: text(run?.digests?.template) };
}

interface RunJson {
  readonly config?: { readonly model?: unknown; readonly template?: unknown };
  readonly digests?: { readonly template?: unknown };
  readonly data?: { readonly template?: unknown };
}

/** The run.json of a run folder, its adapter or one of its checkpoints. */
function runOf(adapter: string): RunJson | undefined {
  const parent = dirname(resolve(adapter));
  const path = [adapter, parent, dirname(parent)]
    .map((folder) => runPaths(folder).run)
    .find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : (readJsonObject(path) as RunJson);
}
