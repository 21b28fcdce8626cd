import { describe, expect, it } from "vitest";
import { presets } from "../../src/hub/presets.js";
import { renderSummary, summarize } from "../../src/recipes/summary.js";

const gemma2b = presets.gemma_2b_en!.config;
const lora = { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout: "keras" } as const;

describe("summarize", () => {
  it("counts what Keras counts for its presets", () => {
    // fixtures/keras_facts.json
    expect(summarize("gemma_2b_en", gemma2b).total).toBe(2_506_172_416);
    expect(summarize("gemma_7b_en", presets.gemma_7b_en!.config).total).toBe(8_537_680_896);
  });

  it("has everything trainable without an adapter", () => {
    const { total, trainable, nonTrainable } = summarize("gemma_2b_en", gemma2b);
    expect([trainable, nonTrainable]).toEqual([total, 0]);
  });

  it("counts the adapter as Keras does after enable_lora(rank=4)", () => {
    const summary = summarize("gemma_2b_en", gemma2b, { config: lora });
    expect(summary).toMatchObject({
      total: 2_507_536_384,
      trainable: 1_363_968,
      nonTrainable: 2_506_172_416,
      lora,
    });
  });

  it("counts r (in + out) for each module in PEFT's layout", () => {
    const config = { ...lora, layout: "standard" } as const;
    const perLayer = 4 * (2048 + 2048) + 4 * (2048 + 256);
    expect(summarize("gemma_2b_en", gemma2b, { config }).trainable).toBe(18 * perLayer);
  });

  it("lists the layers, and they add up", () => {
    const { layers, total } = summarize("gemma_2b_en", gemma2b, { config: lora });
    expect(layers.map((layer) => layer.name)).toEqual([
      "token_embedding",
      ...Array.from({ length: 18 }, (_, i) => `decoder_block_${i}`),
      "final_normalization",
    ]);
    expect(layers.reduce((sum, layer) => sum + layer.parameters, 0)).toBe(total);
    expect(layers[0]).toEqual({
      name: "token_embedding",
      outputShape: [null, null, 2048],
      parameters: 256_000 * 2048,
      trainable: 0,
    });
  });

  it("refuses a rank that the model cannot have", () => {
    expect(() => summarize("gemma_2b_en", gemma2b, { config: { ...lora, rank: 5000 } })).toThrow(
      /rank must be a whole number from 1 to/,
    );
  });
});

describe("renderSummary", () => {
  it("folds equal blocks into one row and ends with the totals", () => {
    const text = renderSummary(summarize("gemma_2b_en", gemma2b, { config: lora }), 80);
    expect(text.split("\n")).toEqual([
      'Model: "gemma_2b_en"',
      "┌───────────────────────────┬─────────────────────┬─────────────┐",
      "│ Layer                     │ Output shape        │      Params │",
      "├───────────────────────────┼─────────────────────┼─────────────┤",
      "│ token_embedding           │ (None, None, 2,048) │ 524,288,000 │",
      "│ decoder_block_0…17 (18 ×) │ (None, None, 2,048) │ 110,180,352 │",
      "│ final_normalization       │ (None, None, 2,048) │       2,048 │",
      "└───────────────────────────┴─────────────────────┴─────────────┘",
      "Total params: 2,507,536,384 (9.34 GiB)",
      "Trainable params: 1,363,968 (5.20 MiB)",
      "Non-trainable params: 2,506,172,416 (9.34 GiB)",
      "LoRA: rank 4, alpha 4, keras layout",
      "  on q_proj, v_proj",
      "(sizes as float32)",
    ]);
  });

  it("has no frame where it would not fit", () => {
    const lines = renderSummary(summarize("nano", presets.facet_nano_en!.config), 40).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
  });
});
