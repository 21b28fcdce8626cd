import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { readFloat32, readSafetensorsHeader } from "../formats/safetensors.js";
import { readStrictJson } from "../formats/strictJson.js";
import { type Adapter, emptyAdapter } from "../lora/adapter.js";
import { adapterStarts, requireSensible, targetModules } from "../lora/config.js";
import { loraConfigOf } from "../lora/settings.js";
import type { LinearModule } from "../nn/linear.js";
import { isString, listOf } from "../validation.js";
import { readStart } from "./runStart.js";

const PARAMETERS = "parameters.safetensors";

/** What run.json says of a fine-tuning run's adapter. */
const runSchema = z.object({
  labels: listOf(isString, "expected a list of labels").optional(),
  config: z.object({
    rank: z.int().positive(),
    alpha: z.number().positive().optional(),
    rankPattern: listOf(isString, "expected a list of patterns").optional(),
    alphaPattern: listOf(isString, "expected a list of patterns").optional(),
    rslora: z.boolean().optional(),
    modules: listOf(isString, "expected a list of layers"),
    layers: z.string().optional(),
    layout: z.enum(["keras", "standard"]),
    method: z.enum(["lora", "full"]).optional(),
    alsoTrain: listOf(isString, "expected a list of kinds of tensors").optional(),
    dora: z.boolean().optional(),
    start: z.enum(adapterStarts).optional(),
  }),
});

/** The run.json that a checkpoint, `<run>/checkpoints/step-000100`, belongs to. */
const runFile = (checkpoint: string) => join(dirname(dirname(resolve(checkpoint))), "run.json");

/** Whether a folder is a checkpoint of one of Facet's runs. */
export const isRunCheckpoint = (folder: string): boolean =>
  existsSync(join(folder, PARAMETERS)) && existsSync(runFile(folder));

/**
 * Loads the adapter as it was at a checkpoint of a fine-tuning run, for a model with these modules. Throws a FacetError
 * when the checkpoint is of a run that trained no adapter, or one for another model.
 */
export function runCheckpointAdapter(
  checkpoint: string,
  modules: readonly LinearModule[],
): Adapter {
  const path = runFile(checkpoint);
  const parsed = runSchema.safeParse(readStrictJson(path));
  if (!parsed.success) {
    throw new FacetError(
      `${checkpoint} holds no adapter: ${path} is not that of a fine-tuning run.`,
    );
  }
  if (parsed.data.config.method === "full") {
    throw new FacetError(
      `${checkpoint} is of a run that trains all weights, so it holds no adapter. Let the run finish and use its model.`,
    );
  }
  const config = loraConfigOf(parsed.data.config, modules);
  // Before there is room for it: the file says any rank.
  requireSensible(config, targetModules(config, modules));
  const { tensors } = readSafetensorsHeader(join(checkpoint, PARAMETERS));
  const isLora = (name: string) => /\.lora_(?:a|b|magnitude)$/.test(name);
  const also = parsed.data.config.alsoTrain ?? [];
  const { labels } = parsed.data;
  const whole =
    also.length === 0 && labels === undefined
      ? []
      : [...tensors.values()].filter(({ name }) => !isLora(name));
  const adapter = { ...emptyAdapter(config, modules, whole), ...(labels && { labels }) };
  const { slots, values } = adapter.parameters;
  for (const [name, { data, shape }] of Object.entries(views(slots, values))) {
    const stored = tensors.get(name);
    if (stored?.shape.join() !== shape.join()) {
      throw new FacetError(
        `${checkpoint}: ${name} ${stored ? `is [${stored.shape}]` : "is missing"}, expected [${shape}]. The checkpoint is for another model.`,
      );
    }
    data.set(readFloat32(stored));
  }
  if (tensors.size !== slots.length) {
    throw new FacetError(
      `${checkpoint} has ${tensors.size} variables, this model's adapter ${slots.length}. The checkpoint is for another model.`,
    );
  }
  return config.start === "pissa" ? readStart(dirname(path), adapter) : adapter;
}
