import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { assets } from "../../src/hub/places.js";
import { finetune } from "../../src/recipes/finetune.js";
import { finetuneSchema } from "../../src/recipes/finetuneConfig.js";
import { temporaryFolder } from "../support/modelFolder.js";

test("LoRA on weights of 8 and of 4 bits learns as it does on those of the files", async () => {
  const place = temporaryFolder();
  vi.stubEnv("FACET_HOME", join(place, "home"));
  const learn = async (weights: "auto" | "int8" | "int4") => {
    const losses: number[] = [];
    const config = finetuneSchema.parse({
      ...{ model: "facet_nano_en", weights, data: join(assets, "starter.jsonl") },
      ...{ run: join(place, weights), limit: 24, batchSize: 8, epochs: 8, sequenceLength: 64 },
      ...{ modules: ["q_proj", "v_proj", "up_proj"], rank: 8, learningRate: 5e-3 },
    });
    await finetune(config, onnxEngine({ threads: 2 }), {
      onEvent: (event) => {
        if (event.kind === "step") losses.push(event.report.loss);
      },
    });
    return losses;
  };
  const full = await learn("auto");
  expect(full.at(-1)).toBeLessThan(0.8 * full[0]!);
  for (const [weights, difference] of [
    ["int8", 0.01],
    ["int4", 0.1],
  ] as const) {
    const losses = await learn(weights);
    expect(losses).toHaveLength(24);
    expect(losses.at(-1)).toBeLessThan(0.8 * losses[0]!);
    expect(Math.abs(losses.at(-1)! - full.at(-1)!)).toBeLessThan(difference * full.at(-1)!);
  }
  vi.unstubAllEnvs();
});
