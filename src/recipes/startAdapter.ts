import { hasStart, readStart, writeStart } from "../adapters/runStart.js";
import type { Engine } from "../engines/engine.js";
import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { readFloat32, storedTensor } from "../formats/safetensors.js";
import type { Adapter } from "../lora/adapter.js";
import { isOfModel } from "../lora/classifierHead.js";
import { openProducts } from "../lora/denseProducts.js";
import { startDora } from "../lora/dora.js";
import { startPissa } from "../lora/pissa.js";
import { latestCheckpoint } from "../training/checkpoints.js";
import type { Prepared } from "./prepare.js";
import { runPaths } from "./runFolder.js";

/**
 * A run's adapter, after its checkpoint was loaded if it has one, with what depends on the model's weights: its own copies of tensors, DoRA's magnitudes, or PiSSA's
 * start, which is kept in the run's folder. Throws a FacetError for weights that cannot give it, and for a run that has lost it.
 */
export async function startAdapter(
  folder: string,
  { adapter, model }: Prepared,
  engine: Engine,
): Promise<Adapter> {
  const { dora, start } = adapter.config;
  const { slots, values } = adapter.parameters;
  const weight = (path: string) => storedTensor(model.weights.get(`${path}.weight`)!);
  const quantized = [...model.frozen.values()].some((stored) => "bits" in stored);
  if (quantized && (dora || [...(adapter.whole ?? [])].some(isOfModel))) {
    const what = dora ? "DoRA needs" : "Training the model's own tensors needs";
    throw new FacetError(
      `${what} weights in floating point, not of 8 or 4 bits. Use --weights bf16 or f32.`,
    );
  }
  // A checkpoint has all values of the parameters.
  const resumed = latestCheckpoint(runPaths(folder).checkpoints) !== undefined;
  if (!resumed) {
    if (dora) startDora(adapter, weight);
    const variables = views(slots, values);
    for (const name of [...(adapter.whole ?? [])].filter(isOfModel))
      variables[name]!.data.set(readFloat32(model.weights.get(name)!));
  }
  if (start !== "pissa") return adapter;
  if (hasStart(folder)) {
    const started = readStart(folder, adapter);
    if (!resumed) values.set(started.start!);
    return started;
  }
  if (resumed) {
    throw new FacetError(
      `${folder} has lost start.safetensors, without which its checkpoints cannot be used.`,
    );
  }
  const products = await openProducts(engine);
  try {
    const started = await startPissa(adapter, weight, products);
    writeStart(folder, started);
    return started;
  } finally {
    await products.close();
  }
}
