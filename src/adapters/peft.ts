import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { readPeftAdapter, writePeftAdapter } from "../formats/peft.js";
import type { PeftConfig } from "../formats/peftConfig.js";
import { endsInOneOf } from "../formats/peftPatterns.js";
import { canonical, scaleInB } from "../lora/canonical.js";
import { withinTextModel } from "../models/gemma/textTensors.js";
import type { LinearModule } from "../nn/linear.js";
import type { AdapterFile } from "./adapterFile.js";
import { bindAdapter, requireComplete } from "./bind.js";

const holdsConfig = (folder: string) => existsSync(join(folder, "adapter_config.json"));

/**
 * The folder of the adapter that a path stands for: the folder itself, the `adapter` of a run, or its only sub-folder
 * with an adapter (PEFT saves every adapter but the one called "default" in a sub-folder). Undefined when there is none.
 * Throws a FacetError when there are several.
 */
export function adapterFolder(path: string): string | undefined {
  if (!existsSync(path) || holdsConfig(path)) return existsSync(path) ? path : undefined;
  if (holdsConfig(join(path, "adapter"))) return join(path, "adapter");
  const inside = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && holdsConfig(join(path, entry.name)))
    .map(({ name }) => name);
  if (inside.length > 1) {
    throw new FacetError(
      `${path} holds several adapters: ${inside.sort().join(", ")}. Name one, for example ${join(path, inside[0]!)}.`,
    );
  }
  return inside[0] === undefined ? undefined : join(path, inside[0]);
}

/**
 * Reads a PEFT folder. With the `modules` of the base model, every matrix must bind to one of them, and every module
 * that the configuration targets must have its matrices. Throws a FacetError for these and for all that `readPeftAdapter`
 * refuses.
 */
export function readPeft(folder: string, modules?: readonly LinearModule[]): AdapterFile {
  const { config, matrices, whole, labels } = readPeftAdapter(folder);
  const file = {
    matrices,
    baseModel: config.baseModel ?? undefined,
    ...(whole.size > 0 && { whole }),
    ...(labels && { labels }),
  };
  if (modules === undefined) return file;
  const bound = bindAdapter(file, modules, folder);
  const targets = targetsOf(config);
  const expected = modules.filter((module) => targets(module));
  requireComplete(bound, expected, folder, "target_modules in adapter_config.json names it");
  return bound;
}

/** Which modules a configuration targets, as far as it says so in lists of names. */
function targetsOf(config: PeftConfig): (module: LinearModule) => boolean {
  const { targetModules, layersToTransform: layers, excludesModules } = config;
  // A pattern comes from a stranger, and PEFT's can take any time to match.
  if (!Array.isArray(targetModules) || excludesModules) return () => false;
  const names = targetModules.map((name) => withinTextModel(name) ?? name);
  const whole = new Set(names);
  const isTargeted = endsInOneOf(names);
  const inLayers = layers && new Set(layers);
  return ({ path, layer }) => {
    const own = withinTextModel(path) ?? path;
    return whole.has(own) || (isTargeted(own) && (inLayers === null || inLayers.has(layer)));
  };
}

/**
 * Writes a PEFT folder in the portable form of `canonical`, or, with `ownRanks`, each module at its own rank, in PEFT's
 * patterns. `modules` are those of the base model, if it is at hand:
 * then an adapter of all its layers is written as such, else as one of the layers that it has. Throws what
 * `writePeftAdapter` throws.
 */
export async function writePeft(
  folder: string,
  file: AdapterFile,
  modules?: readonly LinearModule[],
  { ownRanks = false }: { ownRanks?: boolean } = {},
): Promise<void> {
  const { rank, matrices, patterns } = ownRanks
    ? withOwnRanks(file.matrices)
    : { ...canonical(file.matrices), patterns: undefined };
  await writePeftAdapter(folder, {
    matrices,
    rank,
    alpha: rank,
    ...(file.whole && { whole: file.whole }),
    ...(file.labels && { labels: file.labels }),
    ...(patterns && { rankPattern: patterns, alphaPattern: patterns }),
    baseModel: file.baseModel ?? null,
    ...targeting([...matrices.keys()], modules),
  });
}

/**
 * Matrices at the ranks that they have, with scale 1, so that every alpha is the rank; the largest rank is the
 * adapter's, and the others are patterns: of a short name where that is enough, else of paths.
 */
function withOwnRanks(given: ReadonlyMap<string, LoraMatrices>) {
  const matrices = new Map([...given].map(([path, lora]) => [path, scaleInB(lora)]));
  const rank = Math.max(...[...given.values()].map((lora) => lora.rank));
  const byName = new Map<string, Set<number>>();
  const nameOf = (path: string) => path.slice(path.lastIndexOf(".") + 1);
  for (const [path, lora] of given)
    byName.set(nameOf(path), (byName.get(nameOf(path)) ?? new Set()).add(lora.rank));
  const patterns = new Map<string, number>();
  for (const [path, lora] of given) {
    const key = byName.get(nameOf(path))!.size === 1 ? nameOf(path) : path;
    if (lora.rank !== rank) patterns.set(key, lora.rank);
  }
  return { rank, matrices, patterns };
}

/** The shortest settings of PEFT that target exactly these modules. */
function targeting(
  paths: readonly string[],
  modules: readonly LinearModule[] | undefined,
): { targetModules: readonly string[]; layersToTransform: readonly number[] | null } {
  const layersOf = new Map<string, Set<number>>();
  for (const path of paths) {
    const [, layer, name] = /\.(\d+)\..*?([^.]+)$/.exec(path) ?? [];
    if (name === undefined) return { targetModules: paths, layersToTransform: null };
    layersOf.set(name, (layersOf.get(name) ?? new Set()).add(Number(layer)));
  }
  const [first, ...others] = [...layersOf.values()].map((layers) =>
    [...layers].sort((a, b) => a - b),
  );
  if (others.some((layers) => layers.join() !== first!.join())) {
    return { targetModules: paths, layersToTransform: null };
  }
  const every = new Set(modules?.map(({ layer }) => layer));
  const targetModules = [...layersOf.keys()];
  return { targetModules, layersToTransform: first!.length === every.size ? null : first! };
}
