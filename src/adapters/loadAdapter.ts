import type { Adapter } from "../lora/adapter.js";
import { adapterFromPeft } from "../lora/peft.js";
import { withWhole } from "../lora/whole.js";
import type { LinearModule } from "../nn/linear.js";
import { readKerasAdapter } from "./keras.js";
import { readAdapter } from "./read.js";
import { isRunCheckpoint, runCheckpointAdapter } from "./runCheckpoint.js";

/**
 * Loads an adapter of any kind (see `readAdapter`) for a model with these modules. A Keras file and a
 * checkpoint keep their variables; the others have those of PEFT. Throws a FacetError when it does not fit the model.
 */
export async function loadAdapter(
  path: string,
  modules: readonly LinearModule[],
): Promise<Adapter> {
  if (path.endsWith(".h5")) return readKerasAdapter(path, modules);
  if (isRunCheckpoint(path)) return runCheckpointAdapter(path, modules);
  const { matrices, whole, labels } = await readAdapter(path, modules);
  const adapter = adapterFromPeft(matrices, modules, path);
  if (whole === undefined) return adapter;
  return { ...withWhole(adapter, whole), ...(labels && { labels }) };
}
