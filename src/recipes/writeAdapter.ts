import { writePeft } from "../adapters/peft.js";
import type { OpenModel } from "../hub/openModel.js";
import type { Adapter } from "../lora/adapter.js";
import { matricesOf, toPeft, wholeOf } from "../lora/peft.js";
import { gemmaModules } from "../models/gemma/weights.js";

/**
 * Writes an adapter as PEFT reads it, in one portable form: one rank, scale 1, an integer alpha. One that was made with
 * several ranks keeps them, in PEFT's patterns.
 */
export async function writeAdapter(
  folder: string,
  adapter: Adapter,
  model: OpenModel,
): Promise<void> {
  const ownRanks = adapter.config.ranks !== undefined;
  const matrices = ownRanks ? matricesOf(adapter) : toPeft(adapter).matrices;
  const modules = gemmaModules(model.config);
  const whole = adapter.whole && wholeOf(adapter);
  const file = {
    matrices,
    baseModel: model.name,
    ...(whole && { whole }),
    ...(adapter.labels && { labels: adapter.labels }),
  };
  await writePeft(folder, file, modules, { ownRanks });
}
