import { z } from "zod";
import { loadAdapter } from "../adapters/loadAdapter.js";
import { openModel } from "../hub/openModel.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { finetuneSchema } from "../recipes/finetuneConfig.js";
import { openSession, type Session } from "../runtime/session.js";
import { engineSchema, openEngine } from "./engine.js";

/** The options of every command that uses a model as it is. */
export const sessionSchema = z.strictObject({
  model: finetuneSchema.shape.model,
  adapter: z
    .string()
    .optional()
    .describe("PEFT folder, run folder or Keras .lora.h5 file to put on the model"),
  ...engineSchema.shape,
});

export async function openModelSession(options: z.output<typeof sessionSchema>): Promise<Session> {
  const model = await openModel(options.model);
  const adapter =
    options.adapter === undefined
      ? undefined
      : await loadAdapter(options.adapter, gemmaModules(model.config));
  return openSession(model, await openEngine(options), adapter);
}
