import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { AdapterFile } from "../adapters/adapterFile.js";
import { writePeft } from "../adapters/peft.js";
import { readAdapter } from "../adapters/read.js";
import { FacetError } from "../errors.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { describeModel } from "../hub/openModel.js";
import type { Term } from "../lora/arithmetic.js";
import { requireMatricesOnly } from "../lora/whole.js";
import { withinTextModel } from "../models/gemma/textTensors.js";
import { gemmaModules } from "../models/gemma/weights.js";
import type { LinearModule } from "../nn/linear.js";

/** Adapters that are to become one. */
export interface Terms {
  readonly terms: readonly Term[];
  /** The modules of the base model, if it was named. */
  readonly modules: readonly LinearModule[] | undefined;
  /** What to call the base model: as it was named, or as all of the adapters that name one do. */
  readonly baseModel: string | undefined;
}

/**
 * Reads adapters written as `path` or `path:weight`. With the base `model`, their matrices bind to its modules. Throws a
 * FacetError where that fails, and where adapters of different kinds of models meet.
 */
export async function readTerms(texts: readonly string[], model?: string): Promise<Terms> {
  const base = model === undefined ? undefined : await describeModel(model);
  const modules = base && gemmaModules(base.config);
  const files: AdapterFile[] = [];
  const terms: Term[] = [];
  for (const text of texts) {
    const { path, weight } = parseTerm(text);
    const file = await readAdapter(path, modules);
    requireMatricesOnly(file, `${path}: adapters are added as`);
    files.push(file);
    terms.push({ name: path, matrices: file.matrices, weight });
  }
  requireOneNaming(terms);
  const named = new Set(files.flatMap(({ baseModel }) => baseModel ?? []));
  const baseModel = base?.name ?? (named.size === 1 ? [...named][0] : undefined);
  return { terms, modules, baseModel };
}

/** `path:weight`; the weight is 1 where there is none, or where a file has the whole as its name. */
export function parseTerm(text: string): { path: string; weight: number } {
  const [, path, weight] = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)$/.exec(text) ?? [];
  if (path === undefined || existsSync(text)) return { path: text, weight: 1 };
  return { path, weight: Number(weight) };
}

/** Without the base model nobody can tell which of two paths to the text model is right. */
function requireOneNaming(terms: readonly Term[]): void {
  const byPrefix = new Map<string, string>();
  for (const { name, matrices } of terms) {
    for (const path of matrices.keys()) {
      const rest = withinTextModel(path) ?? path;
      byPrefix.set(path.slice(0, path.length - rest.length), name);
    }
  }
  const [first, second] = [...byPrefix];
  if (first === undefined || second === undefined) return;
  throw new FacetError(
    `${first[1]} names the layers ${first[0]}…, and ${second[1]} ${second[0]}…. Give the base model with --model.`,
  );
}

export interface WrittenAdapter {
  readonly out: string;
  readonly rank: number;
  readonly layers: number;
}

/** The place of a result. Throws a FacetError when something is there. */
export function newPlace(out: string): string {
  const place = resolve(out);
  if (existsSync(place)) {
    throw new FacetError(`${place} exists already. Choose another --out, or remove it first.`);
  }
  return place;
}

/** Writes matrices as a PEFT folder. */
export async function writeResult(
  out: string,
  matrices: ReadonlyMap<string, LoraMatrices>,
  { modules, baseModel }: Pick<Terms, "modules" | "baseModel">,
): Promise<WrittenAdapter> {
  const place = newPlace(out);
  mkdirSync(dirname(place), { recursive: true });
  await writePeft(place, { matrices, baseModel }, modules);
  const rank = Math.max(...[...matrices.values()].map((lora) => lora.rank));
  return { out: place, rank, layers: matrices.size };
}
