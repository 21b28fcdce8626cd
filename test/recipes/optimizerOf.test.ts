import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { type FinetuneInput, finetuneSchema } from "../../src/recipes/finetuneConfig.js";
import { optimizerOf } from "../../src/recipes/optimizerOf.js";

const slots = [
  { name: "model.layers.0.self_attn.q_proj.lora_a", shape: [2], offset: 0, length: 2 },
  { name: "model.layers.0.self_attn.q_proj.lora_b", shape: [2], offset: 2, length: 2 },
  { name: "model.layers.1.self_attn.q_proj.lora_a", shape: [2], offset: 4, length: 2 },
  { name: "model.layers.1.self_attn.q_proj.lora_b", shape: [2], offset: 6, length: 2 },
];

const configOf = (options: Partial<FinetuneInput>) =>
  finetuneSchema.parse({ model: "m", data: "d", run: "r", optimizer: "sgd", ...options });

/** How far each variable moves from 1 along a gradient of `slope` at rate 0.5. */
function moved(options: Partial<FinetuneInput>, slope = 1): number[] {
  const values = new Float32Array(8).fill(1);
  const { optimizer } = optimizerOf(configOf(options), slots);
  optimizer.update(values, new Float32Array(8).fill(slope), 0.5);
  return slots.map(({ offset }) => 1 - values[offset]!);
}

describe("the optimizer of a run", () => {
  test("moves all variables at one rate", () => {
    expect(moved({})).toEqual([0.5, 0.5, 0.5, 0.5]);
  });

  test("moves B faster by LoRA+'s ratio (Hayou et al. 2024, arXiv:2402.12354)", () => {
    expect(moved({ loraPlusRatio: 16 })).toEqual([0.5, 8, 0.5, 8]);
  });

  test("lets variables decay, but for those that a pattern names", () => {
    expect(moved({ weightDecay: 0.5 }, 0)).toEqual([0.25, 0.25, 0.25, 0.25]);
    const decayExclude = ["lora_b$", "layers\\.1\\."];
    expect(moved({ weightDecay: 0.5, decayExclude }, 0)).toEqual([0.25, 0, 0, 0]);
  });

  test.each([
    [
      ["lora_c"],
      '--decay-exclude "lora_c" matches none of the trained variables; one is model.lay',
    ],
    [["("], '--decay-exclude "(" is not a regular expression'],
  ])("refuses the exclusion %j", (decayExclude, message) => {
    expect(() => moved({ decayExclude })).toThrow(message);
    expect(() => moved({ decayExclude })).toThrow(FacetError);
  });

  test("finishes with the average where one is kept, and with the last values otherwise", () => {
    for (const [ema, expected] of [
      [undefined, 0],
      [0.5, 0.25],
    ] as const) {
      const values = new Float32Array(8).fill(1);
      const { optimizer, finish } = optimizerOf(configOf({ ...(ema && { ema }) }), slots);
      for (let step = 0; step < 2; step++)
        optimizer.update(values, new Float32Array(8).fill(1), 0.5);
      finish(values);
      expect(values[0]).toBe(expected);
    }
  });
});
