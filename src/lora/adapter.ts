import { allocateParameters, type Parameters, views } from "../engines/parameters.js";
import { add, input, multiply, type Tensor } from "../graph/index.js";
import { dropout } from "../nn/dropout.js";
import type { Adaptation, LinearModule } from "../nn/linear.js";
import { type LoraConfig, requireSensible, targetModules } from "./config.js";
import { gainName } from "./dora.js";
import { initialValue } from "./initialize.js";
import { loraDelta, loraVariables, variableName } from "./variables.js";

/** A LoRA adapter: which modules it changes, and the values of its variables. */
export interface Adapter {
  readonly config: LoraConfig;
  readonly modules: readonly LinearModule[];
  readonly parameters: Parameters;
  /** Of a DoRA adapter, by module path: the lengths of its weight's rows, `[out]` (see dora.ts). Not trained. */
  readonly magnitudes?: ReadonlyMap<string, Float32Array>;
}

/** An adapter with all variables zero, ready to be filled. */
export function emptyAdapter(config: LoraConfig, modules: readonly LinearModule[]): Adapter {
  const chosen = targetModules(config, modules);
  return { config, modules: chosen, parameters: allocateParameters(loraVariables(config, chosen)) };
}

/** A new adapter, which changes nothing until it is trained. The same seed gives the same values. */
export function createAdapter(
  config: LoraConfig,
  modules: readonly LinearModule[],
  seed: number,
): Adapter {
  requireSensible(config, targetModules(config, modules));
  const adapter = emptyAdapter(config, modules);
  const values = views(adapter.parameters.slots, adapter.parameters.values);
  loraVariables(config, adapter.modules).forEach((variable, index) => {
    values[variable.name]!.data.set(initialValue(config, variable, seed, index));
  });
  return adapter;
}

/**
 * Whether no module has both an A and a B with values in them: then the model computes what it does without the adapter.
 * What DoRA changes depends on the base's weights too, so an adapter with magnitudes is never found to change nothing.
 */
export function changesNothing({ modules, parameters, magnitudes }: Adapter): boolean {
  const variables = views(parameters.slots, parameters.values);
  const isZero = (name: string) => variables[name]!.data.every((value) => value === 0);
  return (
    magnitudes === undefined &&
    modules.every(
      (module) => isZero(variableName(module, "b")) || isZero(variableName(module, "a")),
    )
  );
}

/** The adapter's part of a graph: its variables as trainable inputs, and what it does to each module. */
export interface AdapterGraph {
  readonly trainable: ReadonlyMap<string, Tensor>;
  readonly adapt: (module: string) => Adaptation | undefined;
}

/**
 * `dropoutSeed`, an int32 scalar, is given for training only: elsewhere nothing is dropped. The modules in `gained`,
 * those with magnitudes by default, have a gain as input.
 */
export function adapterGraph(
  adapter: Adapter | undefined,
  options: { dropoutSeed?: Tensor; gained?: ReadonlySet<string> } = {},
): AdapterGraph {
  if (adapter === undefined) return { trainable: new Map(), adapt: () => undefined };
  const { dropoutSeed, gained = new Set(adapter.magnitudes?.keys()) } = options;
  const { config, modules, parameters } = adapter;
  const trainable = new Map(parameters.slots.map(({ name, shape }) => [name, input(name, shape)]));
  const byPath = new Map(modules.map((module) => [module.path, module]));
  return {
    trainable,
    adapt: (path) => {
      const module = byPath.get(path);
      if (module === undefined) return undefined;
      const delta = loraDelta(config, module, (name) => trainable.get(name)!);
      const rate = config.dropout ?? 0;
      const dropped = (x: Tensor) =>
        rate === 0 || dropoutSeed === undefined
          ? x
          : dropout(x, { rate, seed: dropoutSeed }, modules.indexOf(module));
      if (!gained.has(path)) return (x, y) => add(y, delta(dropped(x)));
      const gain = input(gainName(module), [module.outFeatures]);
      return (x, y) => multiply(add(y, delta(dropped(x))), gain);
    },
  };
}
