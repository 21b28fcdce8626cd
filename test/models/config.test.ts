import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import {
  parseGemmaConfig,
  readGemmaConfig,
  readGemmaConfigFile,
  toHuggingFaceConfig,
} from "../../src/models/gemma/config.js";
import { initialWeights } from "../../src/models/gemma/initialize.js";
import { bindWeights, parameterCount } from "../../src/models/gemma/model.js";
import { gemmaModules, gemmaWeightSpecs } from "../../src/models/gemma/weights.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const json = JSON.parse(readFileSync(fixture("gemma1_tiny/config.json"), "utf8"));
const parse = (changes: object) => parseGemmaConfig({ ...json, ...changes }, "/m/config.json");

const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));

describe("a Gemma 1 config.json", () => {
  test("as the hub has it, and as Transformers 5 saves it, means the same model", () => {
    const newer = readGemmaConfigFile(fixture("gemma1_tiny/config.transformers5.json"));
    expect(newer).toEqual(readGemmaConfig(fixture("gemma1_tiny")));
    expect(newer).toEqual({
      vocabularySize: 512,
      numLayers: 3,
      numHeads: 4,
      numKeyValueHeads: 1,
      hiddenSize: 64,
      intermediateSize: 128,
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeBase: 10_000,
      maxPositions: 256,
    });
  });

  test('says "gelu" where it means the tanh approximation', () => {
    expect(parse({ hidden_act: "gelu" })).toEqual(parse({}));
  });

  test("is written so that it reads back the same", () => {
    expect(parseGemmaConfig(toHuggingFaceConfig(tiny.config, "float32"), "x")).toEqual(tiny.config);
  });

  test.each([
    ["another architecture", { model_type: "llama" }, /model_type is "llama"; .*"gemma"/],
    ["another architecture", { model_type: "llama" }, /model_type is "llama"/],
    ["a missing size", { hidden_size: undefined }, /hidden_size/],
    ["a negative size", { intermediate_size: -1 }, /intermediate_size/],
    ["an odd head", { head_dim: 15 }, /head_dim/],
    [
      "heads that do not divide",
      { num_key_value_heads: 3 },
      /num_attention_heads \(4\) must be a multiple of num_key_value_heads \(3\)/,
    ],
    [
      "scaled positions",
      { rope_scaling: { type: "linear", factor: 2 } },
      /rope_scaling is not part of Gemma 1/,
    ],
    ["biases", { attention_bias: true }, /no attention bias/],
    ["an untied head", { tie_word_embeddings: false }, /ties its head/],
    ["another activation", { hidden_act: "silu" }, /hidden_act/],
    // Facet lists the layers: this many would fill the memory.
    ["as many layers as no Gemma has", { num_hidden_layers: 1e9 }, /num_hidden_layers/],
    ["a type that is nested deeply", { model_type: nested(100_000) }, /a deeply nested value/],
  ])("with %s is refused, and the file and key are named", (_what, changes, message) => {
    expect(() => parse(changes)).toThrow(message);
    expect(() => parse(changes)).toThrow(/^\/m\/config\.json: /);
    expect(() => parse(changes)).toThrow(FacetError);
  });

  test("that is absent or no JSON is refused with its path", () => {
    const folder = temporaryFolder();
    expect(() => readGemmaConfig(folder)).toThrow(/Cannot read .*config\.json/);
    writeFileSync(join(folder, "config.json"), "{");
    expect(() => readGemmaConfig(folder)).toThrow(/config\.json: not valid JSON/);
    expect(() => parseGemmaConfig(null, "/m/config.json")).toThrow(/model_type is undefined/);
  });
});

describe("a checkpoint's tensors", () => {
  const stored = tiny.weights.tensors;

  test("bind when they are exactly the model's", () => {
    expect(bindWeights(tiny.config, stored, "/m").size).toBe(tiny.expected.tensor_count);
    expect(parameterCount(tiny.config)).toBe(tiny.expected.params);
  });

  test("that do not are listed, each with what was expected", () => {
    const changed = new Map(stored);
    const norm = changed.get("model.norm.weight")!;
    changed.delete("model.layers.2.mlp.up_proj.weight");
    changed.set("model.norm.weight", { ...norm, shape: [63] });
    changed.set("model.layers.0.input_layernorm.weight", { ...norm, dtype: "I32" });
    changed.set("lm_head.weight", norm);
    expect(() => bindWeights(tiny.config, changed, "/m")).toThrow(
      [
        "The weights in /m do not fit its config.json:",
        "  model.layers.0.input_layernorm.weight has type I32, expected F32, F16 or BF16",
        "  model.layers.2.mlp.up_proj.weight is missing (expected [128, 64])",
        "  model.norm.weight has shape [63], expected [64]",
        "  lm_head.weight is no tensor of this model",
      ].join("\n"),
    );
    expect(() => bindWeights(tiny.config, new Map(), "/m")).toThrow(/and 21 more$/);
  });

  test("of a model's linear layers have the sizes of its modules", () => {
    const shapes = new Map(gemmaWeightSpecs(tiny.config).map(({ name, shape }) => [name, shape]));
    const modules = gemmaModules(tiny.config);
    expect(modules).toHaveLength(7 * 3);
    for (const { path, outFeatures, inFeatures } of modules) {
      expect(shapes.get(`${path}.weight`)).toEqual([outFeatures, inFeatures]);
    }
  });
});

describe("initial weights for pre-training", () => {
  const weights = initialWeights(tiny.config, 1);
  const deviation = (name: string) => {
    const data = weights.get(name)!;
    return Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  };

  test("are every tensor, the same for the same seed and others for another", () => {
    expect([...weights.keys()]).toEqual(gemmaWeightSpecs(tiny.config).map(({ name }) => name));
    expect(initialWeights(tiny.config, 1)).toEqual(weights);
    const other = initialWeights(tiny.config, 2).get("model.embed_tokens.weight");
    expect(other).not.toEqual(weights.get("model.embed_tokens.weight"));
  });

  test("have deviation 1 / √in, less by √(2 · layers) where they write to the residual stream; norms are 0", () => {
    expect(deviation("model.embed_tokens.weight")).toBeCloseTo(1 / 8, 2);
    expect(deviation("model.layers.1.mlp.gate_proj.weight")).toBeCloseTo(1 / 8, 2);
    expect(deviation("model.layers.1.mlp.down_proj.weight")).toBeCloseTo(1 / Math.sqrt(128 * 6), 2);
    expect(deviation("model.layers.1.self_attn.o_proj.weight")).toBeCloseTo(
      1 / Math.sqrt(64 * 6),
      2,
    );
    expect(deviation("model.norm.weight")).toBe(0);
  });
});
