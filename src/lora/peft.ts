import { views } from "../engines/parameters.js";
import { FacetError, nearestName } from "../errors.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { type StoredTensor, tensorOf } from "../formats/storedTensor.js";
import type { LinearModule } from "../nn/linear.js";
import { type Adapter, emptyAdapter, variablesOf } from "./adapter.js";
import { canonical } from "./canonical.js";
import { type LoraConfig, rankOf, scaleOf } from "./config.js";
import { sharesBetweenHeads, variableName } from "./variables.js";

/**
 * The adapter as PEFT matrices in one portable form (see `canonical`). Exact for both layouts: a B that
 * Keras shares between heads becomes block-diagonal, at rank heads · r.
 */
export const toPeft = (adapter: Adapter): { rank: number; matrices: Map<string, LoraMatrices> } =>
  canonical(matricesOf(adapter));

/** The adapter as PEFT matrices at the rank that each module needs, with the adapter's scale. */
export function matricesOf(adapter: Adapter): Map<string, LoraMatrices> {
  const { config, modules, parameters, magnitudes } = adapter;
  const values = views(parameters.slots, parameters.values);
  const matrices = new Map<string, LoraMatrices>();
  for (const module of modules) {
    const { path, inFeatures, outFeatures } = module;
    const rank = peftRank(config, module);
    const a = new Float32Array(rank * inFeatures);
    const b = new Float32Array(outFeatures * rank);
    const [from, to] = [
      values[variableName(module, "a")]!.data,
      values[variableName(module, "b")]!.data,
    ];
    eachA(config, module, (source, row, column) => {
      a[row * inFeatures + column] = from[source]!;
    });
    eachB(config, module, (source, row, column) => {
      b[row * rank + column] = to[source]!;
    });
    const magnitude = magnitudes?.get(path);
    const scale = scaleOf(config, module);
    const now = { a, b, rank, inFeatures, outFeatures, scale };
    const lora = adapter.start
      ? withoutStart(now, variablesOf(adapter, module, adapter.start))
      : now;
    matrices.set(path, magnitude === undefined ? lora : { ...lora, magnitude });
  }
  return matrices;
}

/**
 * B A − B₀ A₀ as one product of twice the rank, as PEFT converts a PiSSA adapter to one for the unchanged base
 * (`subtract_mutated_init`, peft/tuners/lora/model.py).
 */
function withoutStart(
  now: LoraMatrices,
  start: { readonly a: Float32Array; readonly b: Float32Array },
): LoraMatrices {
  const { rank, outFeatures } = now;
  const a = new Float32Array(2 * now.a.length);
  a.set(now.a);
  a.set(start.a, now.a.length);
  const b = new Float32Array(2 * now.b.length);
  for (let row = 0; row < outFeatures; row++) {
    for (let r = 0; r < rank; r++) {
      b[2 * row * rank + r] = now.b[row * rank + r]!;
      b[(2 * row + 1) * rank + r] = -start.b[row * rank + r]!;
    }
  }
  // The same scale, whatever it makes of the rank.
  return { ...now, a, b, rank: 2 * rank };
}

/** The tensors of the model that an adapter replaces. */
export function wholeOf({ parameters, whole }: Adapter): Map<string, StoredTensor> {
  const values = views(parameters.slots, parameters.values);
  return new Map(
    [...(whole ?? [])].map((name) => {
      const { shape, data } = values[name]!;
      return [name, tensorOf(shape, data)];
    }),
  );
}

/** Fills an adapter of this configuration from PEFT matrices; refuses what its layout cannot hold. */
export function fromPeft(
  matrices: ReadonlyMap<string, LoraMatrices>,
  config: LoraConfig,
  modules: readonly LinearModule[],
  where: string,
): Adapter {
  const chosen = adaptedModules(matrices, modules, where);
  const adapter = emptyAdapter({ ...config, targets: targetsOf(chosen) }, chosen);
  const magnitudes = magnitudesOf(matrices);
  if (magnitudes.size > 0 && config.layout === "keras") {
    throw new FacetError(
      `${where} is a DoRA adapter, for which Keras has no variables. Load it in PEFT's layout instead.`,
    );
  }
  const values = views(adapter.parameters.slots, adapter.parameters.values);
  for (const module of chosen) {
    const matrix = matrices.get(module.path)!;
    const scale = matrix.scale / scaleOf(config, module);
    const used = {
      a: new Uint8Array(matrix.a.length),
      b: new Uint8Array(matrix.b.length),
    };
    const [a, b] = [
      values[variableName(module, "a")]!.data,
      values[variableName(module, "b")]!.data,
    ];
    const filled = new Uint8Array(b.length);
    const refuse = () =>
      new FacetError(
        `${where}: the update of ${module.path} has no exact form with Keras's variables at rank ` +
          `${rankOf(config, module)} (a B shared between heads). Load it in PEFT's layout instead.`,
      );
    eachA(config, module, (target, row, column) => {
      if (row >= matrix.rank) return;
      const source = row * module.inFeatures + column;
      a[target] = matrix.a[source]!;
      used.a[source] = 1;
    });
    eachB(config, module, (target, row, column) => {
      if (column >= matrix.rank) return;
      const source = row * matrix.rank + column;
      const value = matrix.b[source]! * scale;
      if (filled[target] && b[target] !== Math.fround(value)) throw refuse();
      filled[target] = 1;
      b[target] = value;
      used.b[source] = 1;
    });
    const leftOver = (data: Float32Array, taken: Uint8Array) =>
      data.some((value, i) => value !== 0 && !taken[i]);
    if (leftOver(matrix.b, used.b) || leftOver(matrix.a, used.a)) throw refuse();
  }
  return magnitudes.size > 0 ? { ...adapter, magnitudes } : adapter;
}

const magnitudesOf = (matrices: ReadonlyMap<string, LoraMatrices>) =>
  new Map(
    [...matrices].flatMap(([path, { magnitude }]) =>
      magnitude === undefined ? [] : [[path, magnitude] as const],
    ),
  );

/** PEFT matrices in PEFT's layout: modules at the largest rank; where scales differ, they are folded into B. */
export function adapterFromPeft(
  matrices: ReadonlyMap<string, LoraMatrices>,
  modules: readonly LinearModule[],
  where: string,
): Adapter {
  const chosen = adaptedModules(matrices, modules, where);
  const shape = commonShape(matrices.values());
  return fromPeft(matrices, { ...shape, targets: targetsOf(chosen) }, chosen, where);
}

/** What holds all these matrices in PEFT's layout; their scale stays as it is where they have one. */
export function commonShape(
  matrices: Iterable<LoraMatrices>,
): Pick<LoraConfig, "rank" | "alpha" | "layout"> {
  const all = [...matrices];
  const rank = Math.max(...all.map((matrix) => matrix.rank));
  const { scale } = all[0]!;
  const same = scale > 0 && all.every((matrix) => matrix.scale === scale);
  return { rank, alpha: same ? scale * rank : rank, layout: "standard" };
}

const targetsOf = (modules: readonly LinearModule[]) => [...new Set(modules.map((m) => m.target))];

/** The modules that matrices are for. Throws a FacetError when one is for no module, or of another size. */
export function adaptedModules(
  matrices: ReadonlyMap<string, LoraMatrices>,
  modules: readonly LinearModule[],
  where: string,
): readonly LinearModule[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  return [...matrices].map(([path, { inFeatures, outFeatures }]) => {
    const module = byPath.get(path);
    if (module === undefined) {
      const near = nearestName(path, namesInLayer(path, byPath.keys()));
      const hint = near === undefined ? "" : ` Did you mean ${near}?`;
      throw new FacetError(`${where} adapts ${path}, which the base model does not have.${hint}`);
    }
    if (module.inFeatures !== inFeatures || module.outFeatures !== outFeatures) {
      throw new FacetError(
        `${where}: ${path} is ${outFeatures} × ${inFeatures} in the adapter and ` +
          `${module.outFeatures} × ${module.inFeatures} in the base model.`,
      );
    }
    return module;
  });
}

/** The names that have the same number of a layer: one of another layer is no other spelling. */
function namesInLayer(path: string, names: Iterable<string>): string[] {
  const layer = (name: string) => /\.(\d+)\./.exec(name)?.[1];
  return [...names].filter((name) => layer(name) === layer(path));
}

const peftRank = (config: LoraConfig, module: LinearModule) =>
  sharesBetweenHeads(config, module)
    ? module.heads * rankOf(config, module)
    : rankOf(config, module);

type Visit = (variableIndex: number, row: number, column: number) => void;

/** Visits variable A's elements with their place in PEFT's `[rank, in]`. */
function eachA(config: LoraConfig, module: LinearModule, visit: Visit): void {
  const { inFeatures, heads } = module;
  const rank = rankOf(config, module);
  if (config.layout === "standard") {
    for (let i = 0; i < rank * inFeatures; i++)
      visit(i, Math.floor(i / inFeatures), i % inFeatures);
    return;
  }
  // Keras: [heads, in, r] for a layer with a shared B, else [in, r] whatever its axes are called.
  const groups = sharesBetweenHeads(config, module) ? heads : 1;
  for (let head = 0; head < groups; head++) {
    for (let column = 0; column < inFeatures; column++) {
      for (let r = 0; r < rank; r++) {
        visit((head * inFeatures + column) * rank + r, head * rank + r, column);
      }
    }
  }
}

/** Visits variable B's elements with their place in PEFT's `[out, rank]`; a shared B once per head. */
function eachB(config: LoraConfig, module: LinearModule, visit: Visit): void {
  const { outFeatures, heads } = module;
  const rank = rankOf(config, module);
  if (config.layout === "standard") {
    for (let i = 0; i < outFeatures * rank; i++) visit(i, Math.floor(i / rank), i % rank);
    return;
  }
  const groups = sharesBetweenHeads(config, module) ? heads : 1;
  const width = outFeatures / groups;
  for (let head = 0; head < groups; head++) {
    for (let r = 0; r < rank; r++) {
      for (let column = 0; column < width; column++) {
        visit(r * width + column, head * width + column, head * rank + r);
      }
    }
  }
}
