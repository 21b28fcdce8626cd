import { existsSync } from "node:fs";
import { join } from "node:path";
import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { gemmaLoraIndex, type KerasLoraLayer, readKerasLora } from "../formats/kerasLora.js";
import { readPeftAdapter } from "../formats/peft.js";
import { type Adapter, emptyAdapter } from "../lora/adapter.js";
import { defaultTargets } from "../lora/config.js";
import { adapterFromPeft } from "../lora/peft.js";
import { variableName } from "../lora/variables.js";
import type { LinearModule } from "../nn/linear.js";
import { readGgufAdapter } from "./gguf.js";
import { isMlxAdapter, readMlxAdapter } from "./mlx.js";

/**
 * Loads an adapter for a model with these modules: a PEFT or MLX folder, a run folder (its `adapter/`), a
 * Keras `.lora.h5` file, or a GGUF adapter. Throws a FacetError when it is none of these or does not fit the model.
 */
export async function loadAdapter(
  path: string,
  modules: readonly LinearModule[],
): Promise<Adapter> {
  if (path.endsWith(".h5")) return fromKeras(path, modules);
  if (path.endsWith(".gguf")) {
    return adapterFromPeft(readGgufAdapter(path).matrices, modules, path);
  }
  if (isMlxAdapter(path)) {
    return adapterFromPeft(readMlxAdapter(path).matrices, modules, path);
  }
  const folder = [path, join(path, "adapter")].find((candidate) =>
    existsSync(join(candidate, "adapter_config.json")),
  );
  if (folder === undefined) {
    throw new FacetError(
      `${path} is no adapter: neither a folder with adapter_config.json, nor a run folder, nor a .lora.h5 or .gguf file.`,
    );
  }
  return adapterFromPeft(readPeftAdapter(folder).matrices, modules, folder);
}

const projections = { q_proj: "query", v_proj: "value" } as const;

/** Keras keeps no alpha: its backbone always has alpha = rank. */
async function fromKeras(path: string, modules: readonly LinearModule[]): Promise<Adapter> {
  const { rank, layers } = await readKerasLora(path);
  const config = { rank, alpha: rank, targets: defaultTargets, layout: "keras" } as const;
  const adapter = emptyAdapter(config, modules);
  const values = views(adapter.parameters.slots, adapter.parameters.values);
  if (layers.size !== adapter.modules.length) {
    throw new FacetError(
      `${path} adapts ${layers.size} layers; this model has ${adapter.modules.length} query and value layers.`,
    );
  }
  for (const module of adapter.modules) {
    const projection = projections[module.target as keyof typeof projections];
    const layer = layers.get(gemmaLoraIndex(projection, module.layer));
    const where = `${path}: ${projection} of layer ${module.layer}`;
    if (layer === undefined)
      throw new FacetError(`${where} is missing; the file is for another model.`);
    for (const matrix of ["a", "b"] as const) {
      fill(values[variableName(module, matrix)]!, layer[matrix], `${where}, lora_kernel_${matrix}`);
    }
  }
  return adapter;
}

function fill(
  variable: { readonly data: Float32Array; readonly shape: readonly number[] },
  kernel: KerasLoraLayer["a"],
  where: string,
): void {
  if (kernel.shape.join() !== variable.shape.join()) {
    throw new FacetError(
      `${where} has shape [${kernel.shape.join(", ")}], the model wants [${variable.shape.join(", ")}].`,
    );
  }
  variable.data.set(kernel.data);
}
