import { allocateParameters, type Parameters, views } from "../engines/parameters.js";
import { input, type Tensor } from "../graph/index.js";
import { dropout } from "../nn/dropout.js";
import type { Delta, LinearModule } from "../nn/linear.js";
import { type LoraConfig, requireSensible, targetModules } from "./config.js";
import { initialValue } from "./initialize.js";
import { loraDelta, loraVariables } from "./variables.js";

/** A LoRA adapter: which modules it changes, and the values of its variables. */
export interface Adapter {
  readonly config: LoraConfig;
  readonly modules: readonly LinearModule[];
  readonly parameters: Parameters;
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

/** The adapter's part of a graph: its variables as trainable inputs, and what each module adds. */
export interface AdapterGraph {
  readonly trainable: ReadonlyMap<string, Tensor>;
  readonly delta: (module: string) => Delta | undefined;
}

/** `dropoutSeed`, an int32 scalar, is given for training only: elsewhere nothing is dropped. */
export function adapterGraph(
  adapter: Adapter | undefined,
  { dropoutSeed }: { dropoutSeed?: Tensor } = {},
): AdapterGraph {
  if (adapter === undefined) return { trainable: new Map(), delta: () => undefined };
  const { config, modules, parameters } = adapter;
  const trainable = new Map(parameters.slots.map(({ name, shape }) => [name, input(name, shape)]));
  const byPath = new Map(modules.map((module) => [module.path, module]));
  return {
    trainable,
    delta: (path) => {
      const module = byPath.get(path);
      if (module === undefined) return undefined;
      const delta = loraDelta(config, module, (name) => trainable.get(name)!);
      const rate = config.dropout ?? 0;
      if (rate === 0 || dropoutSeed === undefined) return delta;
      return (x) => delta(dropout(x, { rate, seed: dropoutSeed }, modules.indexOf(module)));
    },
  };
}
