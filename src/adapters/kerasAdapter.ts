import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { gemmaLoraIndex, type KerasLoraLayer, readKerasLora } from "../formats/kerasLora.js";
import { type Adapter, emptyAdapter } from "../lora/adapter.js";
import { defaultTargets } from "../lora/config.js";
import { variableName } from "../lora/variables.js";
import type { LinearModule } from "../nn/linear.js";

const projections = { q_proj: "query", v_proj: "value" } as const;

/**
 * Reads a Keras `.lora.h5` file into an adapter with Keras's variables. Keras keeps no alpha: its backbone always has
 * alpha = rank. Throws a FacetError when the file does not fit the model.
 */
export async function kerasAdapter(
  path: string,
  modules: readonly LinearModule[],
): Promise<Adapter> {
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
