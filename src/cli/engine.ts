import { z } from "zod";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import { packedPlace } from "../hub/places.js";
import { notice } from "./output.js";
import { profileTo } from "./profileView.js";

/** What the user may say about the engine, for every command that computes. */
export const engineSchema = z.strictObject({
  threads: z.int().positive().optional().describe("threads to compute with (default: every core)"),
  profile: z
    .string()
    .optional()
    .describe("show where the time of the first runs goes, and write it to this JSON file"),
});

/** The same, where one program runs many times on the same weights. */
export const trainingEngineSchema = z.strictObject({
  ...engineSchema.shape,
  prepackWeights: z
    .boolean()
    .default(false)
    .describe(
      "train on weights packed for products, kept on disk in three times their size: faster",
    ),
});

/**
 * The engine. It is loaded only now, so that commands which compute nothing are quick, and so that
 * `facet doctor` runs where it cannot be loaded.
 */
export async function openEngine(
  options: Partial<z.output<typeof trainingEngineSchema>>,
): Promise<Engine> {
  const { onnxEngine } = await import("../engines/onnx/engine.js").catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FacetError(`ONNX Runtime does not load: ${reason}\nRun "facet doctor" for more.`);
  });
  const { threads, prepackWeights = false, profile } = options;
  return onnxEngine({
    prepackWeights: prepackWeights && { folder: packedPlace(), onNotice: notice },
    ...(threads !== undefined && { threads }),
    ...(profile !== undefined && { onProfile: profileTo(profile) }),
  });
}
