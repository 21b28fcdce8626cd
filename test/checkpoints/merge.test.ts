import { describe, expect, test } from "vitest";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { mergeAdapter } from "../../src/checkpoints/merge.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { readWhole } from "../../src/formats/storedTensor.js";
import { largestDifference } from "../support/closeness.js";
import { fixture } from "../support/modelFolder.js";
import { referenceGemma } from "../support/referenceGemma.js";

const base = readHuggingFace(fixture("gemma1_tiny"));
const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_qv"));
const name = "model.layers.0.self_attn.q_proj.weight";
const module = name.replace(/\.weight$/, "");

describe("merging an adapter", () => {
  test("gives the weights that PEFT's merge_and_unload gives", () => {
    const merged = mergeAdapter(base, matrices);
    const truth = referenceGemma("gemma1_tiny").lora("qv");
    for (const projection of ["q_proj", "v_proj"]) {
      const weight = `model.layers.0.self_attn.${projection}.weight`;
      const { data } = truth.tensor(`merged/${weight}`);
      expect(largestDifference(readWhole(merged.tensors.get(weight)!), data)).toBeLessThan(1e-7);
    }
  });

  test("leaves every other tensor as it is", () => {
    const merged = mergeAdapter(base, matrices);
    for (const [other, tensor] of base.tensors) {
      if (!matrices.has(other.replace(/\.weight$/, ""))) {
        expect(merged.tensors.get(other)).toBe(tensor);
      }
    }
  });

  test("gives the rows of a DoRA adapter its magnitudes as lengths", () => {
    const lora = matrices.get(module)!;
    const magnitude = Float32Array.from({ length: lora.outFeatures }, (_, i) => 1 + i / 8);
    const merged = mergeAdapter(base, new Map([[module, { ...lora, magnitude }]]));
    const plain = readWhole(mergeAdapter(base, matrices).tensors.get(name)!);
    const rescaled = readWhole(merged.tensors.get(name)!);
    const width = lora.inFeatures;
    for (let row = 0; row < lora.outFeatures; row++) {
      const before = plain.subarray(row * width, (row + 1) * width);
      const after = rescaled.subarray(row * width, (row + 1) * width);
      expect(Math.hypot(...after)).toBeCloseTo(magnitude[row]!, 5);
      const factor = magnitude[row]! / Math.hypot(...before);
      expect(
        largestDifference(
          after,
          before.map((value) => value * factor),
        ),
      ).toBeLessThan(1e-6);
    }
  });

  test("refuses a module that the model lacks, or has in another size", () => {
    const lora = matrices.get(module)!;
    const wrong = (path: string, value: LoraMatrices) => () =>
      mergeAdapter(base, new Map([[path, value]]));
    expect(wrong("model.layers.9.mlp.up_proj", lora)).toThrow(
      "The adapter changes model.layers.9.mlp.up_proj, which gemma1_tiny does not have.",
    );
    expect(wrong("model.layers.0.mlp.up_proj", lora)).toThrow(/is 64 × 64; .* it is 128 × 64/);
  });
});
