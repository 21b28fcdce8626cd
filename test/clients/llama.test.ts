import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/hub/openModel.js";
import { fixture } from "../support/modelFolder.js";
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
        adapter: fixture(`gemma1_tiny/peft_${which}`),
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
