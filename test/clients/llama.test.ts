import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGgufAdapter, writeGgufAdapter } from "../../src/adapters/gguf.js";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { openModel } from "../../src/hub/openModel.js";
import { adapterFromPeft, toPeft } from "../../src/lora/peft.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import { sharedPath } from "../support/sharedFolder.js";
import { compareWithLlama } from "./compareWithLlama.js";
import { askLlama, llamaIsInstalled } from "./llama.js";

const shared = sharedPath("fixtures/gguf");

describe.runIf(llamaIsInstalled && shared.isThere)(
  "llama.cpp, with files of its own converter",
  () => {
    const file = (name: string) => join(shared.path, name);
    const expected = () => JSON.parse(readFileSync(file("expected.json"), "utf8"));

    test.each(["short", "long"])("a model, %s prompt", async (key) => {
      const { prompt, new_tokens } = expected().gemma1[key];
      const model = await openModel(fixture("gemma1_tiny"));
      const { tokens, ours, largest } = await compareWithLlama({
        gguf: file("gemma1.gguf"),
        model,
        prompt,
      });
      expect(tokens).toEqual(new_tokens);
      expect(ours).toEqual(new_tokens);
      expect(largest.withHalfGelu).toBeLessThan(2e-3);
      expect(largest.asIs).toBeLessThan(5e-3);
    });

    test.each(["qv", "all"])("an adapter, %s", async (which) => {
      const { prompt, new_tokens } = expected()[`gemma1_lora_${which}`];
      const model = await openModel(fixture("gemma1_tiny"));
      const { tokens, ours, largest } = await compareWithLlama({
        gguf: file("gemma1.gguf"),
        ggufAdapter: file(`gemma1_lora_${which}.gguf`),
        model,
        adapter: await loadAdapter(
          fixture(`gemma1_tiny/peft_${which}`),
          gemmaModules(model.config),
        ),
        prompt,
      });
      expect(tokens).toEqual(new_tokens);
      expect(ours).toEqual(new_tokens);
      expect(largest.withHalfGelu).toBeLessThan(2e-3);
      expect(largest.asIs).toBeLessThan(5e-3);
    });

    test("an adapter for another model is refused, with llama.cpp's reason", async () => {
      const request = {
        model: file("gemma3.gguf"),
        adapter: { path: file("gemma1_lora_qv.gguf"), scale: 1 },
        prompts: [[2]],
      };
      await expect(askLlama(request)).rejects.toThrow(/arch mismatch/);
    });
  },
);

describe.runIf(llamaIsInstalled && shared.isThere)(
  "llama.cpp, with adapters that Facet wrote",
  () => {
    const prompt = [2, 45, 301, 77, 410, 19, 260, 133];
    const gguf = join(shared.path, "gemma1.gguf");
    const tinyModel = async () => {
      const model = await openModel(fixture("gemma1_tiny"));
      return { model, modules: gemmaModules(model.config) };
    };
    const write = (matrices: ReadonlyMap<string, LoraMatrices>, type: "F32" | "F16") => {
      const path = join(temporaryFolder(), "adapter.gguf");
      const options = { family: "gemma", name: "adapter", type } as const;
      writeGgufAdapter(path, { matrices, baseModel: undefined }, options);
      return path;
    };

    test("Keras's, whose B is shared between heads", async () => {
      const { model, modules } = await tinyModel();
      const path = fixture("keras_gemma1_tiny/adapter.lora.h5");
      const adapter = await loadAdapter(path, modules);
      const ggufAdapter = write(toPeft(adapter).matrices, "F32");
      const options = { gguf, ggufAdapter, model, adapter, prompt };
      const { tokens, ours, largest } = await compareWithLlama(options);
      expect(ours).toEqual(tokens);
      expect(largest.withHalfGelu).toBeLessThan(2e-3);
    });

    test("PEFT's, with ranks and scales that differ", async () => {
      const { model, modules } = await tinyModel();
      const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_all"));
      const uneven = [...matrices].map(([module, lora]): [string, LoraMatrices] => {
        if (module.endsWith("q_proj")) return [module, { ...lora, scale: 3 * lora.scale }];
        if (!module.endsWith("up_proj")) return [module, lora];
        const a = lora.a.slice(0, 2 * lora.inFeatures);
        const b = lora.b.filter((_, i) => i % lora.rank < 2);
        return [module, { ...lora, a, b, rank: 2 }];
      });
      const adapter = adapterFromPeft(new Map(uneven), modules, "uneven");
      const ggufAdapter = write(new Map(uneven), "F32");
      const options = { gguf, ggufAdapter, model, adapter, prompt };
      const { tokens, ours, largest } = await compareWithLlama(options);
      expect(ours).toEqual(tokens);
      expect(largest.withHalfGelu).toBeLessThan(2e-3);
    });

    // llama.cpp rounds the inputs of a matrix in F16 to F16 too.
    test("PEFT's, in F16", async () => {
      const { model, modules } = await tinyModel();
      const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_all"));
      const ggufAdapter = write(matrices, "F16");
      const adapter = adapterFromPeft(readGgufAdapter(ggufAdapter).matrices, modules, ggufAdapter);
      const options = { gguf, ggufAdapter, model, adapter, prompt };
      const { tokens, ours, largest } = await compareWithLlama(options);
      expect(ours).toEqual(tokens);
      expect(largest.withHalfGelu).toBeLessThan(5e-3);
    });
  },
);
