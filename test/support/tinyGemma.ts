import { referenceGemma } from "./referenceGemma.js";

export { engine } from "./referenceGemma.js";

/** The tiny Gemma 1 of test/fixtures, with the numbers that Transformers and PEFT computed with it. */
export const { config, modules, weights, truth, expected, lora, graph, batch, adapter } =
  referenceGemma("gemma1_tiny");
