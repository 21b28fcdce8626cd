import type { OpenModel } from "../../src/hub/openModel.js";
import type { Adapter } from "../../src/lora/adapter.js";
import { openSession } from "../../src/runtime/session.js";
import { withHalfGelu } from "../support/halfGelu.js";
import { logProbabilities } from "../support/logProbabilities.js";
import { engine } from "../support/referenceGemma.js";
import { askLlama } from "./llama.js";

export interface Comparison {
  /** What llama.cpp adds to the prompt, and what Facet would add at each of its steps. */
  readonly tokens: readonly number[];
  readonly ours: readonly number[];
  /** Largest difference between the log-probabilities, by Facet, of a token of its own and llama.cpp's in its place. */
  readonly shortfall: number;
  /**
   * Largest difference between log-probabilities of the prompt's and the new tokens, each given those before it.
   * Facet's engine computes in float32; so does llama.cpp with float32 weights, but for GELU, which it looks up in a
   * table in half precision. `withHalfGelu` compares it with an engine that rounds GELU likewise.
   */
  readonly largest: { readonly asIs: number; readonly withHalfGelu: number };
}

/** Has llama.cpp continue a prompt from a GGUF file, and Facet judge each token with what should be the same weights. */
export async function compareWithLlama(options: {
  readonly gguf: string;
  readonly ggufAdapter?: string;
  readonly model: OpenModel;
  readonly adapter?: Adapter;
  readonly prompt: readonly number[];
}): Promise<Comparison> {
  const { gguf, ggufAdapter, model, adapter, prompt } = options;
  const { sequences } = await askLlama({
    model: gguf,
    prompts: [prompt],
    newTokens: 24,
    ...(ggufAdapter !== undefined && { adapter: { path: ggufAdapter, scale: 1 } }),
  });
  const { tokens, logProbabilities: theirs } = sequences[0]!;
  const ids = [...prompt, ...tokens];
  const judge = async () => {
    const session = openSession(model, engine, adapter);
    const rows = await logProbabilities(session, ids.slice(0, -1));
    await session.close();
    return rows;
  };
  const difference = (rows: readonly Float64Array[]) => {
    const each = rows.map((row, i) => Math.abs(row[ids[i + 1]!]! - theirs[i]![ids[i + 1]!]!));
    return each.reduce((a, b) => (b <= a ? a : b));
  };
  const rows = await judge();
  const steps = rows.slice(prompt.length - 1);
  const ours = steps.map(mostLikely);
  return {
    tokens,
    ours,
    shortfall: Math.max(...steps.map((row, i) => row[ours[i]!]! - row[tokens[i]!]!)),
    largest: {
      asIs: difference(rows),
      withHalfGelu: difference(await withHalfGelu(judge)),
    },
  };
}

const mostLikely = (row: Float64Array) => row.indexOf(row.reduce((a, b) => Math.max(a, b)));
