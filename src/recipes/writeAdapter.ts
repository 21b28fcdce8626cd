import { writePeftAdapter } from "../formats/peft.js";
import type { OpenModel } from "../hub/openModel.js";
import type { Adapter } from "../lora/adapter.js";
import { toPeft } from "../lora/peft.js";

/** Writes an adapter as PEFT reads it, in one portable form: one rank, scale 1, an integer alpha. */
export async function writeAdapter(
  folder: string,
  adapter: Adapter,
  model: OpenModel,
): Promise<void> {
  const { rank, matrices } = toPeft(adapter);
  const targetModules = [...new Set(adapter.modules.map((module) => module.target))];
  const baseModel = model.name;
  await writePeftAdapter(folder, { matrices, rank, alpha: rank, targetModules, baseModel });
}
