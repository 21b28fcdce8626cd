import { describe, expect, it, test } from "vitest";
import { presets, unknownModel } from "../../src/hub/presets.js";
import { summarize } from "../../src/recipes/summary.js";

/** Parameters of every Gemma text preset, as KerasHub's gemma_presets.py and gemma3_presets.py state them. */
const kerasParameters = {
  gemma_2b_en: 2_506_172_416,
  gemma_instruct_2b_en: 2_506_172_416,
  "gemma_1.1_instruct_2b_en": 2_506_172_416,
  "code_gemma_1.1_2b_en": 2_506_172_416,
  code_gemma_2b_en: 2_506_172_416,
  gemma_7b_en: 8_537_680_896,
  gemma_instruct_7b_en: 8_537_680_896,
  "gemma_1.1_instruct_7b_en": 8_537_680_896,
  code_gemma_7b_en: 8_537_680_896,
  code_gemma_instruct_7b_en: 8_537_680_896,
  "code_gemma_1.1_instruct_7b_en": 8_537_680_896,
  gemma2_2b_en: 2_614_341_888,
  gemma2_instruct_2b_en: 2_614_341_888,
  gemma2_9b_en: 9_241_705_984,
  gemma2_instruct_9b_en: 9_241_705_984,
  gemma2_27b_en: 27_227_128_320,
  gemma2_instruct_27b_en: 27_227_128_320,
  shieldgemma_2b_en: 2_614_341_888,
  shieldgemma_9b_en: 9_241_705_984,
  shieldgemma_27b_en: 27_227_128_320,
  c2s_scale_gemma_2_2b_en: 2_614_341_888,
  c2s_scale_gemma_2_27b_en: 27_227_128_320,
  gemma3_270m: 268_098_176,
  gemma3_instruct_270m: 268_098_176,
  gemma3_1b: 999_885_952,
  gemma3_instruct_1b: 999_885_952,
  gemma3_4b_text: 3_880_099_328,
  gemma3_instruct_4b_text: 3_880_099_328,
  gemma3_12b_text: 11_765_788_416,
  gemma3_instruct_12b_text: 11_765_788_416,
  gemma3_27b_text: 27_009_002_240,
  gemma3_instruct_27b_text: 27_009_002_240,
  medgemma_instruct_27b_text: 27_009_002_240,
  function_gemma_instruct_270m: 268_098_176,
};

describe("the presets of KerasHub", () => {
  it("are all there", () => {
    const published = Object.keys(presets).filter((name) => name !== "facet_nano_en");
    expect(published.sort()).toEqual(Object.keys(kerasParameters).sort());
  });

  test.each(Object.entries(kerasParameters))("%s has as many parameters", (name, parameters) => {
    const { config } = presets[name]!;
    // The published multimodal models have 64 rows of embeddings more, which no text token uses.
    const unused = config.vocabularySize === 262_208 ? 64 * config.hiddenSize : 0;
    expect(summarize(name, config).total - unused).toBe(parameters);
  });

  it("come from Kaggle under their own names", () => {
    for (const [name, { source }] of Object.entries(presets)) {
      if ("kaggle" in source) expect(source.kaggle.split("/").at(-2)).toBe(name);
    }
  });
});

describe("a name that is no preset", () => {
  it.each([
    ["gemma3_4b", "sees images", "gemma3_4b_text"],
    ["embedding_gemma3_300m", "embeddings"],
    ["pali_gemma_3b_mix_224", "sees images"],
    ["t5gemma_2b_2b_ul2", "encoder"],
    ["gemma4_2b", "another architecture"],
    ["vault_gemma_1b_en", "another way"],
  ])("%s is refused with the reason", (name, ...words) => {
    for (const word of words) expect(unknownModel(name).message).toContain(word);
  });

  it("gets the nearest preset", () => {
    expect(unknownModel("gemma_2b").message).toContain('Did you mean "gemma_2b_en"?');
  });
});
