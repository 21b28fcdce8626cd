import { z } from "zod";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";

/** What the user may say about the engine, for every command that computes. */
export const engineSchema = z.strictObject({
  threads: z.int().positive().optional().describe("threads to compute with (default: every core)"),
});

/**
 * The engine. It is loaded only now, so that commands which compute nothing are quick, and so that
 * `facet doctor` runs where it cannot be loaded.
 */
export async function openEngine({ threads }: z.output<typeof engineSchema>): Promise<Engine> {
  const { onnxEngine } = await import("../engines/onnx/engine.js").catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FacetError(`ONNX Runtime does not load: ${reason}\nRun "facet doctor" for more.`);
  });
  return onnxEngine(threads === undefined ? {} : { threads });
}
