import { type GenerationSample, promptIds } from "./generation.js";

export interface LlamaOptions {
  readonly gguf: string;
  readonly threads: number;
  readonly promptLength: number;
  readonly newTokens: number;
}

interface LlamaModule {
  readonly version: string;
  openLlama(options: object): Promise<() => Promise<number[]>>;
}

/** As `openGeneration`, by llama.cpp. */
export async function openLlama(options: LlamaOptions): Promise<() => Promise<GenerationSample>> {
  const { version, openLlama: open } = (await import(
    new URL("../peers/llama.mjs", import.meta.url).href
  )) as LlamaModule;
  const run = await open({ ...options, prompt: promptIds(options.promptLength) });
  return async () => ({ version, times: await run() });
}
