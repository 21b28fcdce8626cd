import { describe, expect, test } from "vitest";
import { presets } from "../../src/hub/presets.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";

describe("indices of layers in .lora.h5 files", () => {
  test.each([
    ["gemma_2b_en", 8, 10, 11],
    ["gemma2_2b_en", 9, 11, 13],
    ["gemma3_270m", 11, 13, 15],
  ])("%s: value %d, query %d, %d layers to a block", (name, value, query, stride) => {
    const modules = gemmaModules(presets[name]!.config);
    const index = (target: string, layer: number) =>
      modules.find((module) => module.target === target && module.layer === layer)!.kerasIndex;
    for (const layer of [0, 1, 5]) {
      expect(index("v_proj", layer)).toBe(value + stride * layer);
      expect(index("q_proj", layer)).toBe(query + stride * layer);
    }
    expect(new Set(modules.map(({ kerasIndex }) => kerasIndex)).size).toBe(modules.length);
  });
});
