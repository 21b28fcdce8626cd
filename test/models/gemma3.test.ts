import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { presets } from "../../src/hub/presets.js";
import { loraVariables } from "../../src/lora/variables.js";
import {
  type GemmaConfig,
  parseGemmaConfig,
  readGemmaConfigFile,
  toHuggingFaceConfig,
} from "../../src/models/gemma/config.js";
import { bindWeights, parameterCount } from "../../src/models/gemma/model.js";
import { textTensors } from "../../src/models/gemma/textTensors.js";
import { layerViews } from "../../src/models/gemma/views.js";
import { gemmaModules, gemmaWeightSpecs } from "../../src/models/gemma/weights.js";
import { largestDifference } from "../support/closeness.js";
import { fixture } from "../support/modelFolder.js";
import { referenceGemma } from "../support/referenceGemma.js";
import { sharedPath } from "../support/sharedFolder.js";
import { forward, matchesReference } from "./matchesReference.js";

const tiny = referenceGemma("gemma3_tiny");
const json = JSON.parse(readFileSync(fixture("gemma3_tiny/config.json"), "utf8"));
const parse = (changes: object) => parseGemmaConfig({ ...json, ...changes }, "/m/config.json");
const linear = { rope_type: "linear", factor: 8 };

describe("Gemma 3", () => matchesReference(tiny));

describe("rotary positions", () => {
  test("have one base in local layers and another in global ones", () => {
    const ropes = layerViews(tiny.config, 64).map(({ rope }) => rope);
    expect(ropes).toHaveLength(4);
    expect(ropes[0]).toBe(ropes[1]);
    expect(ropes[0]).toBe(ropes[3]);
    expect(ropes[0]).not.toBe(ropes[2]);
  });

  test("divided by a factor are those of the quotient, in global layers only", async () => {
    const { slidingWindow: _, ...everything } = tiny.config;
    const batch = tiny.batch("nopad");
    const rows = Int32Array.from({ length: 20 }, (_, i) => i);
    const logits = async (config: GemmaConfig, positionStep: number) =>
      (await forward({ ...tiny.graph(), config }, batch, rows, { positionStep })).logits;

    const plain = await logits(everything, 1);
    const stretched = await logits({ ...everything, ropeFactor: 3 }, 3);
    expect(largestDifference(stretched, plain)).toBeLessThan(2e-5);
    expect(largestDifference(await logits(everything, 3), plain)).toBeGreaterThan(1e-2);

    const window = { length: 64, ropeBase: 10_000, layers: [true, true, true, true] };
    const local = { ...tiny.config, slidingWindow: window };
    expect(await logits({ ...local, ropeFactor: 3 }, 1)).toEqual(await logits(local, 1));
  });
});

describe("a Gemma 3 config.json", () => {
  test("as the hub has it, and as Transformers 5 saves it, means the same model", () => {
    const newer = readGemmaConfigFile(fixture("gemma3_tiny/config.transformers5.json"));
    expect(newer).toEqual(tiny.config);
    expect(newer).toEqual({
      family: "gemma3_text",
      vocabularySize: 512,
      numLayers: 4,
      numHeads: 4,
      numKeyValueHeads: 1,
      hiddenSize: 80,
      intermediateSize: 112,
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeBase: 1_000_000,
      queryScalar: 16,
      slidingWindow: { length: 8, layers: [true, true, false, true], ropeBase: 10_000 },
      maxPositions: 256,
    });
  });

  test("has five local layers for a global one where it does not say", () => {
    const { layers } = parse({
      num_hidden_layers: 13,
      sliding_window_pattern: undefined,
    }).slidingWindow!;
    const globals = [...layers.keys()].filter((layer) => !layers[layer]);
    expect(globals).toEqual([5, 11]);
  });

  test("may divide the positions of global layers, in the older keys or the newer", () => {
    const older = parse({ rope_scaling: linear });
    const newer = parse({
      rope_parameters: {
        full_attention: { rope_theta: 1e6, ...linear },
        sliding_attention: { rope_theta: 1e4, rope_type: "default" },
      },
    });
    expect(older.ropeFactor).toBe(8);
    expect(newer).toEqual(older);
  });

  test.each([{}, { rope_scaling: linear }])(
    "with %j is written so that it reads back the same",
    (changes) => {
      const config = parse(changes);
      expect(parseGemmaConfig(toHuggingFaceConfig(config, "float32"), "x")).toEqual(config);
    },
  );

  test.each([
    ["no window", { sliding_window: undefined }, /sliding_window/],
    ["another scaling", { rope_scaling: { ...linear, rope_type: "yarn" } }, /rope_scaling/],
    [
      "scaled local positions",
      {
        rope_parameters: {
          full_attention: { rope_theta: 1e6 },
          sliding_attention: { rope_theta: 1e4, ...linear },
        },
      },
      /sliding_attention/,
    ],
    ["attention in both directions", { use_bidirectional_attention: true }, /backwards only/],
  ])("with %s is refused, and the file is named", (_what, changes, message) => {
    expect(() => parse(changes)).toThrow(message);
    expect(() => parse(changes)).toThrow(/^\/m\/config\.json: /);
    expect(() => parse(changes)).toThrow(FacetError);
  });
});

describe("a multimodal Gemma 3", () => {
  const whole = { model_type: "gemma3", text_config: json, vision_config: { hidden_size: 1152 } };
  const config = parseGemmaConfig(whole, "/m/config.json");

  test("is read as its text part", () => {
    expect(config).toEqual({ ...tiny.config, textPath: "model.language_model" });
  });

  test("may leave out what Transformers takes for granted, as the 4B model does", () => {
    const text = {
      hidden_size: 2560,
      intermediate_size: 10_240,
      model_type: "gemma3_text",
      num_hidden_layers: 34,
      rope_scaling: linear,
      sliding_window: 1024,
    };
    const { slidingWindow, ...rest } = parseGemmaConfig({ ...whole, text_config: text }, "4b");
    expect(rest).toEqual({
      family: "gemma3_text",
      vocabularySize: 262_208,
      numLayers: 34,
      numHeads: 8,
      numKeyValueHeads: 4,
      hiddenSize: 2560,
      intermediateSize: 10_240,
      headDim: 256,
      rmsNormEps: 1e-6,
      ropeBase: 1_000_000,
      ropeFactor: 8,
      queryScalar: 256,
      maxPositions: 131_072,
      textPath: "model.language_model",
    });
    expect(slidingWindow).toMatchObject({ length: 1024, ropeBase: 10_000 });
  });

  test("without a text part is refused", () => {
    expect(() => parseGemmaConfig({ model_type: "gemma3" }, "/m")).toThrow(/hidden_size/);
  });

  test("has no config.json that its text part could write", () => {
    expect(() => toHuggingFaceConfig(config, "float32")).toThrow(FacetError);
  });

  test("names its layers as PEFT does", () => {
    expect(gemmaModules(config)[0]!.path).toBe("model.language_model.layers.0.self_attn.q_proj");
  });

  const { tensors } = tiny.weights;
  const image = tensors.get("model.norm.weight")!;

  test.each([
    ["language_model.model.", ""],
    ["model.language_model.", "model."],
    ["model.", ""],
  ])("with its text under %s binds that, and leaves out what looks at images", (text, vision) => {
    const stored = new Map(
      [...tensors].map(([name, tensor]) => [name.replace(/^model\./, text), tensor]),
    );
    stored.set(`${vision}vision_tower.vision_model.post_layernorm.weight`, image);
    stored.set(`${vision}multi_modal_projector.mm_soft_emb_norm.weight`, image);
    const bound = bindWeights(config, textTensors(config, stored), "/m");
    expect(bound.size).toBe(tensors.size);
    expect(bound.get("model.language_model.norm.weight")).toBe(image);
  });

  test("with any other tensor does not bind", () => {
    const stored = new Map([...tensors, ["audio_tower.norm.weight", image]]);
    expect(() => bindWeights(config, textTensors(config, stored), "/m")).toThrow(
      /audio_tower\.norm\.weight is no tensor of this model/,
    );
  });

  test("is the only one whose vision is ignored", () => {
    const stored = new Map([...tensors, ["vision_tower.norm.weight", image]]);
    expect(() => bindWeights(tiny.config, textTensors(tiny.config, stored), "/m")).toThrow(
      /vision_tower\.norm\.weight is no tensor of this model/,
    );
  });
});

describe("presets of Gemma 3", () => {
  // As Keras counts its presets, and LoRA of rank 4 on their queries and values.
  test.each([
    ["270m", 268_098_176, 267_264],
    ["1b", 999_885_952, 652_288],
  ])("%s: %d parameters, %d with LoRA at rank 4", (size, parameters, trainable) => {
    const { config } = presets[`gemma3_${size}`]!;
    const targets = ["q_proj", "v_proj"];
    const modules = gemmaModules(config).filter(({ target }) => targets.includes(target));
    const variables = loraVariables({ rank: 4, alpha: 4, targets, layout: "keras" }, modules);
    const count = variables.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(parameterCount(config)).toBe(parameters);
    expect(count).toBe(trainable);
    expect(presets[`gemma3_instruct_${size}`]!.config).toBe(config);
  });

  describe.each(["270m", "1b"])("%s", (size) => {
    const { path, isThere } = sharedPath(`data/gemma/configs/gemma-3-${size}.json`);
    test.skipIf(!isThere)("is the model of the published config.json", () => {
      const published = JSON.parse(readFileSync(path, "utf8"));
      expect(parseGemmaConfig(published, size)).toEqual(presets[`gemma3_${size}`]!.config);
    });

    const list = sharedPath(`data/gemma/configs/gemma-3-${size}.tensors.json`);
    test.skipIf(!list.isThere)("has the tensors of the published checkpoint", () => {
      const { tensor_shapes: published } = JSON.parse(readFileSync(list.path, "utf8"));
      const specs = gemmaWeightSpecs(presets[`gemma3_${size}`]!.config);
      expect(Object.fromEntries(specs.map(({ name, shape }) => [name, shape]))).toEqual(published);
    });
  });
});
