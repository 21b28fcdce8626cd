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
import { parameterCount } from "../../src/models/gemma/model.js";
import { layerViews } from "../../src/models/gemma/views.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { largestDifference } from "../support/closeness.js";
import { fixture } from "../support/modelFolder.js";
import { referenceGemma } from "../support/referenceGemma.js";
import { sharedPath } from "../support/sharedFolder.js";
import { forward, matchesReference } from "./matchesReference.js";

const tiny = referenceGemma("gemma2_tiny");
const window = tiny.config.slidingWindow!;

describe("Gemma 2", () => matchesReference(tiny));

describe("a sliding window", () => {
  /** The first layer alone, which is a local one. */
  const local: GemmaConfig = {
    ...tiny.config,
    numLayers: 1,
    slidingWindow: { ...window, layers: [true] },
  };
  const batch = tiny.batch("nopad");
  const last = Int32Array.of(19);
  const logits = async (changed?: number, maxLength = 64) => {
    const ids = batch.ids.map((id, place) => (place === changed ? id + 1 : id));
    const model = { ...tiny.graph(), config: local };
    return (await forward(model, { ...batch, ids }, last, { maxLength })).logits;
  };

  test("of 8 shows a token the 7 before it, and none before those", async () => {
    const before = await logits();
    expect(largestDifference(await logits(19 - 8), before)).toBe(0);
    expect(largestDifference(await logits(19 - 7), before)).toBeGreaterThan(1e-3);
  });

  test("is that of every other layer, and of none when it hides nothing", () => {
    const windows = (maxLength: number) =>
      layerViews(tiny.config, maxLength).map((view) => view.window);
    expect(windows(window.length + 1)).toEqual([window.length, undefined, window.length]);
    expect(windows(window.length)).toEqual([undefined, undefined, undefined]);
    const [first, second] = layerViews(tiny.config, 64);
    expect(first!.rope).toBe(second!.rope);
  });

  test("that hides nothing gives the logits of one that could", async () => {
    const eight = { ...batch, ids: batch.ids.subarray(0, 8), size: 1, length: 8 };
    const rows = Int32Array.from({ length: 8 }, (_, i) => i);
    const [short, long] = await Promise.all(
      [8, 64].map((maxLength) => forward(tiny.graph(), eight, rows, { maxLength })),
    );
    expect(largestDifference(short!.logits, long!.logits)).toBeLessThan(1e-6);
  });
});

describe("a Gemma 2 config.json", () => {
  const json = JSON.parse(readFileSync(fixture("gemma2_tiny/config.json"), "utf8"));
  const parse = (changes: object) => parseGemmaConfig({ ...json, ...changes }, "/m/config.json");

  test("as the hub has it, and as Transformers 5 saves it, means the same model", () => {
    expect(readGemmaConfigFile(fixture("gemma2_tiny/config.transformers5.json"))).toEqual(
      tiny.config,
    );
    expect(tiny.config).toEqual({
      family: "gemma2",
      vocabularySize: 512,
      numLayers: 3,
      numHeads: 4,
      numKeyValueHeads: 2,
      hiddenSize: 64,
      intermediateSize: 128,
      headDim: 16,
      rmsNormEps: 1e-6,
      ropeBase: 10_000,
      queryScalar: 24,
      attentionSoftCap: 8,
      finalSoftCap: 10,
      slidingWindow: { length: 8, layers: [true, false, true], ropeBase: 10_000 },
      maxPositions: 256,
    });
  });

  test("is written so that it reads back the same", () => {
    expect(parseGemmaConfig(toHuggingFaceConfig(tiny.config, "float32"), "x")).toEqual(tiny.config);
  });

  test("may have no soft-caps, and layers in any order", () => {
    const types = ["full_attention", "full_attention", "sliding_attention"];
    const changes = {
      attn_logit_softcapping: null,
      final_logit_softcapping: null,
      layer_types: types,
    };
    const config = parse(changes);
    expect(config.slidingWindow!.layers).toEqual([false, false, true]);
    expect(config).not.toHaveProperty("attentionSoftCap");
    expect(config).not.toHaveProperty("finalSoftCap");
    expect(parseGemmaConfig(toHuggingFaceConfig(config, "float32"), "x")).toEqual(config);
  });

  test.each([
    ["no window", { sliding_window: undefined }, /sliding_window/],
    ["too few layers", { layer_types: ["full_attention"] }, /lists 1 layers, .* is 3/],
    ["another kind of layer", { layer_types: Array(3).fill("linear") }, /layer_types/],
    ["scaled positions", { rope_scaling: { factor: 2 } }, /rope_scaling is not part of Gemma/],
    [
      "scaled positions in the newer keys",
      { rope_parameters: { rope_theta: 1e4, rope_type: "linear", factor: 2 } },
      /rope_type/,
    ],
    ["attention in both directions", { use_bidirectional_attention: true }, /backwards only/],
    ["a soft-cap of zero", { attn_logit_softcapping: 0 }, /attn_logit_softcapping/],
    ["another activation", { hidden_activation: "silu" }, /hidden_activation/],
  ])("with %s is refused, and the file is named", (_what, changes, message) => {
    expect(() => parse(changes)).toThrow(message);
    expect(() => parse(changes)).toThrow(/^\/m\/config\.json: /);
    expect(() => parse(changes)).toThrow(FacetError);
  });
});

describe("presets of Gemma 2", () => {
  // As Keras counts its presets, and LoRA of rank 4 on their queries and values. For 27B, the report
  // (arXiv:2408.00118, table 2) has 26,047,480,320 besides the embedding's 256,000 × 4608.
  test.each([
    ["2b", 2_614_341_888, 2_928_640],
    ["9b", 9_241_705_984, 14_536_704],
    ["27b", 27_227_128_320, 40_744_960],
  ])("%s: %d parameters, %d with LoRA at rank 4", (size, parameters, trainable) => {
    const { config } = presets[`gemma2_${size}_en`]!;
    const targets = ["q_proj", "v_proj"];
    const modules = gemmaModules(config).filter(({ target }) => targets.includes(target));
    const variables = loraVariables({ rank: 4, alpha: 4, targets, layout: "keras" }, modules);
    const count = variables.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(parameterCount(config)).toBe(parameters);
    expect(count).toBe(trainable);
    expect(presets[`gemma2_instruct_${size}_en`]!.config).toBe(config);
  });

  describe.each(["2b", "9b"])("%s", (size) => {
    const { path, isThere } = sharedPath(`data/gemma/configs/gemma-2-${size}.json`);
    test.skipIf(!isThere)("is the model of the published config.json", () => {
      // The copy has a sentence in place of the list of layers.
      const json = { ...JSON.parse(readFileSync(path, "utf8")), layer_types: undefined };
      expect(parseGemmaConfig(json, size)).toEqual(presets[`gemma2_${size}_en`]!.config);
    });
  });
});
