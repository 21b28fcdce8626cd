import { z } from "zod";
import { loadAdapter } from "../adapters/loadAdapter.js";
import { type OpenModel, openModel } from "../hub/openModel.js";
import { type Adapter, changesNothing } from "../lora/adapter.js";
import { shareShape } from "../lora/shareShape.js";
import { gemmaModules } from "../models/gemma/weights.js";
import { finetuneSchema, modelField } from "../recipes/finetuneConfig.js";
import { openSession, type Session } from "../runtime/session.js";
import { withDownloads } from "./downloads.js";
import { engineSchema, openEngine } from "./engine.js";
import { notice } from "./output.js";

const anyAdapter =
  "PEFT, MLX or run folder, checkpoint of a run, Keras .lora.h5 or GGUF file to put on the model";

/** The options of every command that uses a model as it is. */
export const sessionSchema = z.strictObject({
  model: modelField,
  weights: finetuneSchema.shape.weights,
  adapter: z.string().optional().describe(anyAdapter),
  ...engineSchema.shape,
});

/** The same, for a command that can put one adapter after the other on the model. */
export const adaptersSchema = z.strictObject({
  ...sessionSchema.shape,
  adapter: z.array(z.string()).default([]).describe(anyAdapter),
});

export async function openModelSession(options: z.output<typeof sessionSchema>): Promise<Session> {
  const { session } = await openAdaptersSession({
    ...options,
    adapter: options.adapter === undefined ? [] : [options.adapter],
  });
  return session;
}

/** A session and the adapters that it can be switched between, by the paths that they were given as. */
export interface AdaptersSession {
  readonly session: Session;
  readonly adapters: ReadonlyMap<string, Adapter>;
}

/** What stands for the model without an adapter, among several. */
export const noAdapter = "none";

/**
 * Opens a model with its adapters; the first is in use. Several are brought to one shape, and `none` is added to them:
 * the model alone. With `alone` that is done for a single one too.
 */
export async function openAdaptersSession(
  options: z.output<typeof adaptersSchema>,
  { alone = false } = {},
): Promise<AdaptersSession> {
  const model = await withDownloads((hooks) =>
    openModel(options.model, { weights: options.weights, ...hooks }),
  );
  const paths = [...new Set(options.adapter)];
  const loaded: Adapter[] = [];
  for (const path of paths) loaded.push(await load(path, model));
  const engine = await openEngine(options);
  if (loaded.length < 2 && !alone) {
    const session = openSession(model, engine, loaded[0]);
    return { session, adapters: new Map(loaded.map((adapter, i) => [paths[i]!, adapter])) };
  }
  const { adapters, none } = shareShape(loaded);
  const [first, ...others] = adapters;
  return {
    session: openSession(model, engine, first, [...others, none]),
    adapters: new Map([
      ...adapters.map((adapter, i) => [paths[i]!, adapter] as const),
      [noAdapter, none],
    ]),
  };
}

async function load(path: string, model: OpenModel): Promise<Adapter> {
  const adapter = await loadAdapter(path, gemmaModules(model.config));
  if (changesNothing(adapter)) notice(nothingChanges(path));
  return adapter;
}

/** What to say of an adapter whose updates are all zero. */
export const nothingChanges = (adapter: string): string =>
  `${adapter} changes nothing: its updates are all zero. It was not trained, or not saved as it should be.`;
