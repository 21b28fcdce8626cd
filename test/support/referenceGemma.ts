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

export type BatchName = "nopad" | "pad" | "nopad2";
export type AdapterName = "qv" | "all";

export const engine = onnxEngine({ threads: 1 });

/** The fixture's name of a variable, for example `layers.0.self_attn.q_proj.lora_A.weight`. */
export const fixtureName = (variable: string) =>
  variable.replace(/^model\./, "").replace(/lora_(.)$/, (_, m) => `lora_${m.toUpperCase()}.weight`);

/** A tiny model of test/fixtures, with the numbers that Transformers and PEFT computed with it. */
export function referenceGemma(folder: string) {
  const config = readGemmaConfig(fixture(folder));
  const weights = openTensors(fixture(`${folder}/model.safetensors`));
  const truth = openTensors(fixture(`${folder}/expected.safetensors`));
  const expected = JSON.parse(readFileSync(fixture(`${folder}/expected.json`), "utf8"));
  const modules = gemmaModules(config);
  const lora = (which: AdapterName) => openTensors(fixture(`${folder}/lora_${which}.safetensors`));

  return {
    config,
    modules,
    weights,
    truth,
    expected,
    lora,
    fullGradients: () => openTensors(fixture(`${folder}/full_grads.safetensors`)),
    /** The model with its weights frozen in their file, and an adapter if there is one. */
    graph: (adapter?: Adapter): GemmaGraph => ({
      config,
      tensor: frozenWeights(weights.tensors),
      ...adapterGraph(adapter),
    }),
    /** Two or three rows of 20 tokens, "pad" padded on the right; targets are the next ids. */
    batch(name: BatchName): Batch {
      const ids = truth.tensor(`${name}/input_ids`);
      const mask = truth.tensor(`${name}/attention_mask`);
      return batchOf(ids.data as Int32Array, mask.data as Int32Array, ids.shape);
    },
    /** An adapter of the fixture as it was before training. */
    adapter(which: AdapterName): Adapter {
      const { r: rank, alpha, target_modules: targets } = expected.lora[which];
      const made = emptyAdapter({ rank, alpha, targets, layout: "standard" }, modules);
      const tensors = lora(which);
      const { slots, values } = made.parameters;
      for (const [name, { data }] of Object.entries(views(slots, values))) {
        data.set(tensors.tensor(`init/${fixtureName(name)}`).data);
      }
      return made;
    },
  };
}

export type ReferenceGemma = ReturnType<typeof referenceGemma>;
