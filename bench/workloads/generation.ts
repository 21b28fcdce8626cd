import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { generateTokens } from "../../src/generation/generate.js";
import { greedy } from "../../src/generation/samplers.js";
import { openModel } from "../../src/hub/openModel.js";
import type { WeightType } from "../../src/hub/weightTypes.js";
import { createRandom } from "../../src/random.js";
import { openSession } from "../../src/runtime/session.js";
import { cacheFolder } from "../places.js";

export interface GenerationOptions {
  /** Model folder or GGUF file. */
  readonly model: string;
  readonly weights: WeightType;
  readonly threads: number;
  readonly promptLength: number;
  readonly newTokens: number;
}

export interface GenerationSample {
  /** Milliseconds until the first new token, and between each and the next. */
  readonly times: readonly number[];
  /** Version of what generated, where it is not Facet. */
  readonly version?: string;
}

/** Random ids that no vocabulary of a Gemma uses for control pieces. */
export function promptIds(length: number): number[] {
  const random = createRandom({ seed: 5, stream: "order" });
  return Array.from({ length }, () => 1000 + random.below(200_000));
}

/** Greedy tokens after a prompt of random ids, at batch 1. */
export async function openGeneration(
  options: GenerationOptions,
): Promise<() => Promise<GenerationSample>> {
  const { weights, threads, promptLength, newTokens } = options;
  const model = await openModel(options.model, { weights, cache: `${cacheFolder()}/converted` });
  const session = openSession(model, onnxEngine({ threads }));
  const maxLength = promptLength + newTokens;
  const decoder = await session.decoder(maxLength);
  const prompt = promptIds(promptLength);
  return async () => {
    const times: number[] = [];
    let before = performance.now();
    const settings = { maxLength, sampler: greedy(), stopIds: [], guess: false };
    const steps = generateTokens(decoder, [prompt], settings);
    for await (const _ of steps) {
      times.push(performance.now() - before);
      before = performance.now();
    }
    return { times };
  };
}
