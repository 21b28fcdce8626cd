import { writePeft } from "../adapters/peft.js";
import type { OpenModel } from "../hub/openModel.js";
import type { Adapter } from "../lora/adapter.js";
import { toPeft } from "../lora/peft.js";
import { gemmaModules } from "../models/gemma/weights.js";

/** Writes an adapter as PEFT reads it, in one portable form: one rank, scale 1, an integer alpha. */
export async function writeAdapter(
  folder: string,
  adapter: Adapter,
  model: OpenModel,
): Promise<void> {
  const file = { matrices: toPeft(adapter).matrices, baseModel: model.name };
  await writePeft(folder, file, gemmaModules(model.config));
}
