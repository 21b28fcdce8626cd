import { readFileSync } from "node:fs";
import type { Batch } from "../../src/data/batches.js";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { views } from "../../src/engines/parameters.js";
import { type Adapter, adapterGraph, emptyAdapter } from "../../src/lora/adapter.js";
import { readGemmaConfig } from "../../src/models/gemma/config.js";
import { frozenWeights } from "../../src/models/gemma/model.js";
import type { GemmaGraph } from "../../src/models/gemma/programs.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { batchOf } from "./batchOf.js";
import { fixture } from "./modelFolder.js";
import { openTensors } from "./safetensorsFile.js";

/** The tiny Gemma 1 of test/fixtures, with the numbers that Transformers and PEFT computed with it. */
export const config = readGemmaConfig(fixture("gemma1_tiny"));
export const modules = gemmaModules(config);
export const weights = openTensors(fixture("gemma1_tiny/model.safetensors"));
export const truth = openTensors(fixture("gemma1_tiny/expected.safetensors"));
export const expected = JSON.parse(readFileSync(fixture("gemma1_tiny/expected.json"), "utf8"));
export const engine = onnxEngine({ threads: 1 });

/** The model with its weights frozen in their file, and an adapter if there is one. */
export const graph = (adapter?: Adapter): GemmaGraph => ({
  config,
  tensor: frozenWeights(weights.tensors),
  ...adapterGraph(adapter),
});

/** "nopad", "nopad2" (2 × 20 tokens) or "pad" (3 × 20, padded on the right); targets are the next ids. */
export function batch(name: "nopad" | "nopad2" | "pad"): Batch {
  const ids = truth.tensor(`${name}/input_ids`);
  const mask = truth.tensor(`${name}/attention_mask`);
  return batchOf(ids.data as Int32Array, mask.data as Int32Array, ids.shape);
}

/** The two LoRA configurations of the fixtures. */
export const adapters = { qv: "lora_qv", all: "lora_all" } as const;

export const loraTensors = (which: keyof typeof adapters) =>
  openTensors(fixture(`gemma1_tiny/${adapters[which]}.safetensors`));

/** The fixture's name of a variable, for example `layers.0.self_attn.q_proj.lora_A.weight`. */
export const fixtureName = (variable: string) =>
  variable.replace(/^model\./, "").replace(/lora_(.)$/, (_, m) => `lora_${m.toUpperCase()}.weight`);

/** An adapter of the fixtures (rank 4, alpha 8) as it was before training. */
export function adapter(which: keyof typeof adapters): Adapter {
  const { r: rank, alpha, target_modules: targets } = expected.lora[which];
  const made = emptyAdapter({ rank, alpha, targets, layout: "standard" }, modules);
  const tensors = loraTensors(which);
  for (const [name, { data }] of Object.entries(
    views(made.parameters.slots, made.parameters.values),
  )) {
    data.set(tensors.tensor(`init/${fixtureName(name)}`).data);
  }
  return made;
}
