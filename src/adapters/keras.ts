import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import {
  type KerasKernel,
  type KerasLoraLayer,
  readKerasLora,
  writeKerasLora,
} from "../formats/kerasLora.js";
import { type Adapter, emptyAdapter } from "../lora/adapter.js";
import { rankOf, scaleOf } from "../lora/config.js";
import { fromPeft, matricesOf } from "../lora/peft.js";
import { loraVariables, variableName } from "../lora/variables.js";
import type { LinearModule } from "../nn/linear.js";

/**
 * Reads a Keras `.lora.h5` file into an adapter with Keras's variables. Keras keeps no alpha: its backbone always has
 * alpha = rank. Layers are found by their indices; in a file of another version of KerasHub, which counts otherwise, by
 * their order, if the shapes agree. Throws a FacetError when the file does not fit the model.
 */
export function readKerasAdapter(path: string, modules: readonly LinearModule[]): Adapter {
  const { rank, layers } = readKerasLora(path);
  const config = { rank, alpha: rank, layout: "keras" } as const;
  const shapes = (module: LinearModule) => {
    const variables = loraVariables({ ...config, targets: [module.target] }, [module]);
    return { a: variables[0]!.shape, b: variables[1]!.shape };
  };
  const fits = (module: LinearModule | undefined, { a, b }: KerasLoraLayer) => {
    if (module === undefined) return false;
    const shape = shapes(module);
    return a.shape.join() === shape.a.join() && b.shape.join() === shape.b.join();
  };
  const indices = [...layers.keys()].sort((a, b) => a - b);
  const byIndex = new Map(modules.map((module) => [module.kerasIndex, module]));
  // Keras adapts query and value unless told otherwise.
  const usual = modules
    .filter(({ target }) => target === "q_proj" || target === "v_proj")
    .sort((a, b) => a.kerasIndex - b.kerasIndex);
  const readings = [indices.map((index) => byIndex.get(index))];
  if (indices.length === usual.length) readings.push(usual);
  const reading = readings.find((candidates): candidates is LinearModule[] =>
    candidates.every((module, i) => fits(module, layers.get(indices[i]!)!)),
  );
  if (reading === undefined) throw misfit(path, indices, layers, byIndex, shapes);
  const targets = [...new Set(reading.map((module) => module.target))];
  const adapter = emptyAdapter({ ...config, targets }, modules);
  if (adapter.modules.length !== layers.size) {
    throw new FacetError(
      `${path} adapts ${layers.size} layers; this model has ${adapter.modules.length} of the kinds ${targets.join(", ")}.`,
    );
  }
  const values = views(adapter.parameters.slots, adapter.parameters.values);
  for (const [i, module] of reading.entries()) {
    for (const matrix of ["a", "b"] as const) {
      values[variableName(module, matrix)]!.data.set(layers.get(indices[i]!)![matrix].data);
    }
  }
  return adapter;
}

function misfit(
  path: string,
  indices: readonly number[],
  layers: ReadonlyMap<number, KerasLoraLayer>,
  byIndex: ReadonlyMap<number, LinearModule>,
  shapes: (module: LinearModule) => Record<"a" | "b", readonly number[]>,
): FacetError {
  for (const index of indices) {
    const module = byIndex.get(index);
    if (module === undefined) {
      return new FacetError(
        `${path}: the layer ${index}, which it adapts, is no linear layer of this model. The file is for another model.`,
      );
    }
    for (const matrix of ["a", "b"] as const) {
      const [found, wanted] = [layers.get(index)![matrix].shape, shapes(module)[matrix]];
      if (found.join() !== wanted.join()) {
        return new FacetError(
          `${path}: lora_kernel_${matrix} of the layer ${index}, ${module.path}, has shape [${found.join(", ")}]; the model wants [${wanted.join(", ")}].`,
        );
      }
    }
  }
  return new FacetError(`${path} adapts no layer.`);
}

/**
 * Writes an adapter as Keras's `load_lora_weights` reads it, after `enable_lora` with the same rank and layers. An
 * adapter with the variables of PEFT is written if Keras's can hold it: query, key and value layers have one A per head
 * and one B for all heads. Throws a FacetError, and writes nothing, when they cannot.
 */
export function writeKerasAdapter(path: string, adapter: Adapter): void {
  const { config, modules, parameters } = withKerasVariables(adapter, path);
  const values = views(parameters.slots, parameters.values);
  // Keras adds A·B as it is.
  const layers = new Map(
    modules.map((module): [number, KerasLoraLayer] => {
      const scale = scaleOf(config, module);
      const kernel = (matrix: "a" | "b"): KerasKernel => values[variableName(module, matrix)]!;
      const b = kernel("b");
      const scaled = scale === 1 ? b : { ...b, data: b.data.map((value) => value * scale) };
      return [module.kerasIndex, { a: kernel("a"), b: scaled }];
    }),
  );
  writeKerasLora(path, rankOf(config, modules[0]!), layers);
}

function withKerasVariables(adapter: Adapter, path: string): Adapter {
  const { config, modules, magnitudes } = adapter;
  const where = `Cannot write ${path}`;
  const instead = "Export the merged model instead (--to merged)";
  const ranks = new Set(modules.map((module) => rankOf(config, module)));
  if (config.layout === "keras") {
    if (ranks.size === 1) return adapter;
    throw new FacetError(
      `${where}: Keras has one rank for all layers, and this adapter has ${[...ranks].join(", ")}. ${instead}.`,
    );
  }
  if (magnitudes !== undefined) {
    throw new FacetError(`${where}: Keras has no variables for a DoRA adapter. ${instead}.`);
  }
  // Matrices that were made of Keras's variables have a rank for every head.
  const heads = modules.map(({ heads }) => heads);
  const matrices = matricesOf(adapter);
  const largest = Math.max(...[...matrices.values()].map((lora) => lora.rank));
  const divided = new Set([1, ...heads].map((count) => largest / count).filter(Number.isInteger));
  for (const rank of [...divided].sort((a, b) => a - b)) {
    try {
      const { targets } = config;
      const keras = { rank, alpha: rank, targets, layout: "keras" } as const;
      return fromPeft(matrices, keras, modules, where);
    } catch (error) {
      if (!(error instanceof FacetError)) throw error;
    }
  }
  throw new FacetError(
    `${where}: in Keras all heads of a layer share one B, and this adapter has more than that can hold. ${instead}.`,
  );
}
