import type { HostTensor } from "../engines/engine.js";
import { allocateParameters, type Parameters, views } from "../engines/parameters.js";
import { add, input, multiply, subtract, type Tensor } from "../graph/index.js";
import { dropout } from "../nn/dropout.js";
import type { Adaptation, LinearModule } from "../nn/linear.js";
import { type LoraConfig, requireSensible, scaleOf, targetModules } from "./config.js";
import { gainName, trainingGain } from "./dora.js";
import { initialValue } from "./initialize.js";
import { loraDelta, loraVariables, variableName } from "./variables.js";
import type { WholeTensor } from "./whole.js";

/** A LoRA adapter: which modules it changes, and the values of its variables. */
export interface Adapter {
  readonly config: LoraConfig;
  readonly modules: readonly LinearModule[];
  readonly parameters: Parameters;
  /**
   * Of a DoRA adapter, by module path: the lengths of its weight's rows, `[out]` (see dora.ts). One that can be trained
   * (`config.dora`) has them in its parameters, and these are views.
   */
  readonly magnitudes?: ReadonlyMap<string, Float32Array>;
  /**
   * The values that the parameters had at the start, where these changed something already (PiSSA): the adapter's update
   * is what B A is now, less what it was then.
   */
  readonly start?: Float32Array;
  /** Tensors of the model that it replaces, norms or the embedding: they are parameters under their own names. */
  readonly whole?: ReadonlySet<string>;
  /** Of a classifier: the classes of its head `score.weight`, which is among `whole`, in the order of its rows. */
  readonly labels?: readonly string[];
}

/** An adapter with all variables zero, ready to be filled; `whole` are tensors of the model that it replaces. */
export function emptyAdapter(
  config: LoraConfig,
  modules: readonly LinearModule[],
  whole: readonly WholeTensor[] = [],
): Adapter {
  const chosen = targetModules(config, modules);
  const parameters = allocateParameters([...loraVariables(config, chosen), ...whole]);
  const names = new Set(whole.map(({ name }) => name));
  const adapter = {
    ...{ config, modules: chosen, parameters },
    ...(whole.length > 0 && { whole: names }),
  };
  if (!config.dora) return adapter;
  const values = views(parameters.slots, parameters.values);
  const magnitudes = chosen.map(
    (module) => [module.path, values[variableName(module, "magnitude")]!.data] as const,
  );
  return { ...adapter, magnitudes: new Map(magnitudes) };
}

/**
 * A new adapter, which changes nothing until it is trained; one of DoRA or PiSSA after `startDora` or `startPissa`. The
 * same seed gives the same values. `whole` tensors are zero until they are filled with the model's.
 */
export function createAdapter(
  config: LoraConfig,
  modules: readonly LinearModule[],
  seed: number,
  whole: readonly WholeTensor[] = [],
): Adapter {
  requireSensible(config, targetModules(config, modules));
  const adapter = emptyAdapter(config, modules, whole);
  const values = views(adapter.parameters.slots, adapter.parameters.values);
  loraVariables(config, adapter.modules).forEach((variable, index) => {
    values[variable.name]!.data.set(initialValue(config, variable, seed, index));
  });
  return adapter;
}

/** A module's matrices among an adapter's parameters, or among other values of that form. */
export function variablesOf(
  { parameters }: Adapter,
  module: LinearModule,
  values: Float32Array = parameters.values,
): { readonly a: Float32Array; readonly b: Float32Array } {
  const named = views(parameters.slots, values);
  return { a: named[variableName(module, "a")]!.data, b: named[variableName(module, "b")]!.data };
}

/**
 * Whether no module has both an A and a B with values in them: then the model computes what it does without the adapter.
 * What DoRA changes depends on the base's weights too, so an adapter with magnitudes is never found to change nothing.
 */
export function changesNothing({
  modules,
  parameters,
  magnitudes,
  start,
  whole,
}: Adapter): boolean {
  if (whole !== undefined) return false;
  if (start !== undefined) return start.every((value, i) => value === parameters.values[i]);
  const variables = views(parameters.slots, parameters.values);
  const isZero = (name: string) => variables[name]!.data.every((value) => value === 0);
  return (
    magnitudes === undefined &&
    modules.every(
      (module) => isZero(variableName(module, "b")) || isZero(variableName(module, "a")),
    )
  );
}

const startName = (variable: string) => `start:${variable}`;

/** What every program of an adapter that has a `start` takes besides its parameters. */
export const startInputs = ({ parameters, start }: Adapter): Record<string, HostTensor> =>
  start === undefined
    ? {}
    : Object.fromEntries(
        Object.entries(views(parameters.slots, start)).map(([name, value]) => [
          startName(name),
          value,
        ]),
      );

/** The adapter's part of a graph: its variables as trainable inputs, and what it does to each module. */
export interface AdapterGraph {
  readonly trainable: ReadonlyMap<string, Tensor>;
  readonly adapt: (module: string) => Adaptation | undefined;
  /** The input that takes the place of a tensor of the model, if the adapter replaces it. */
  readonly replaced: (name: string) => Tensor | undefined;
}

/**
 * `dropoutSeed`, an int32 scalar, is given for training only: elsewhere nothing is dropped. The modules in `gained`,
 * those with magnitudes by default, have a gain as input; with `weight`, which gives a module's weight, they have their
 * magnitudes as variables.
 */
export function adapterGraph(
  adapter: Adapter | undefined,
  options: {
    dropoutSeed?: Tensor;
    gained?: ReadonlySet<string>;
    weight?: (path: string) => Tensor;
  } = {},
): AdapterGraph {
  if (adapter === undefined) {
    return { trainable: new Map(), adapt: () => undefined, replaced: () => undefined };
  }
  const { dropoutSeed, gained = new Set(adapter.magnitudes?.keys()) } = options;
  const { config, modules, parameters, start } = adapter;
  const trainable = new Map(parameters.slots.map(({ name, shape }) => [name, input(name, shape)]));
  const byPath = new Map(modules.map((module) => [module.path, module]));
  return {
    trainable,
    replaced: (name) => (adapter.whole?.has(name) ? trainable.get(name) : undefined),
    adapt: (path) => {
      const module = byPath.get(path);
      if (module === undefined) return undefined;
      const variable = (name: string) => trainable.get(name)!;
      const delta = loraDelta(config, module, variable);
      const before =
        start && loraDelta(config, module, (name) => input(startName(name), variable(name).shape));
      const frozen = (x: Tensor, y: Tensor) => (before ? subtract(y, before(x)) : y);
      const rate = config.dropout ?? 0;
      const dropped = (x: Tensor) =>
        rate === 0 || dropoutSeed === undefined
          ? x
          : dropout(x, { rate, seed: dropoutSeed }, modules.indexOf(module));
      const sum = (x: Tensor, y: Tensor) => add(frozen(x, y), delta(dropped(x)));
      if (!gained.has(path)) return sum;
      const gain = options.weight
        ? trainingGain(
            options.weight(path),
            variable(variableName(module, "a")),
            variable(variableName(module, "b")),
            variable(variableName(module, "magnitude")),
            scaleOf(config, module),
          )
        : input(gainName(module), [module.outFeatures]);
      return (x, y) => multiply(sum(x, y), gain);
    },
  };
}
