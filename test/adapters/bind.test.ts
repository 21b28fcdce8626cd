import { describe, expect, test } from "vitest";
import { bindAdapter, requireComplete } from "../../src/adapters/bind.js";
import { FacetError } from "../../src/errors.js";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { loraMatrices } from "../support/loraMatrices.js";
import * as tiny from "../support/tinyGemma.js";

const query = loraMatrices({ rank: 2, inFeatures: 64, outFeatures: 64 });
const multimodal = gemmaModules({ ...tiny.config, textPath: "model.language_model" });
const bind = (entries: [string, LoraMatrices][], modules = tiny.modules) =>
  bindAdapter({ matrices: new Map(entries), baseModel: "base" }, modules, "/a");

describe("binding an adapter to a model", () => {
  test.each(["model.", "model.language_model.", "language_model.model."])(
    "finds the text model under %s, wherever the base has it",
    (prefix) => {
      const name = `${prefix}layers.1.self_attn.q_proj`;
      for (const [modules, path] of [
        [tiny.modules, "model.layers.1.self_attn.q_proj"],
        [multimodal, "model.language_model.layers.1.self_attn.q_proj"],
      ] as const) {
        const { matrices, baseModel } = bind([[name, query]], [...modules]);
        expect([...matrices]).toEqual([[path, query]]);
        expect(baseModel).toBe("base");
      }
    },
  );

  test.each<[string, string, LoraMatrices, string]>([
    [
      "a misspelt module, naming the nearest one",
      "model.layers.1.self_attn.q_porj",
      query,
      "/a adapts model.layers.1.self_attn.q_porj, which the base model does not have. Did you mean model.layers.1.self_attn.q_proj?",
    ],
    [
      "a layer that the model does not have",
      "model.layers.7.self_attn.q_proj",
      query,
      "/a adapts model.layers.7.self_attn.q_proj, which the base model does not have.",
    ],
    [
      "the vision tower",
      "model.vision_tower.encoder.layers.0.self_attn.q_proj",
      query,
      "/a adapts model.vision_tower.encoder.layers.0.self_attn.q_proj, which the base model does not have.",
    ],
    [
      "matrices of another size",
      "model.layers.1.self_attn.v_proj",
      query,
      "/a: model.layers.1.self_attn.v_proj is 64 × 64 in the adapter and 16 × 64 in the base model.",
    ],
  ])("refuses %s", (_, name, lora, message) => {
    const refused = () => bind([[name, lora]]);
    expect(refused).toThrow(FacetError);
    expect(refused).toThrow(new FacetError(message));
  });

  test("refuses two names for one module", () => {
    const twice = ["model.", "language_model.model."].map((prefix): [string, LoraMatrices] => [
      `${prefix}layers.0.self_attn.q_proj`,
      query,
    ]);
    expect(() => bind(twice)).toThrow("/a adapts model.layers.0.self_attn.q_proj twice");
  });
});

test("an incomplete adapter is refused with the first module that is missing", () => {
  const file = bind([["model.layers.1.self_attn.q_proj", query]]);
  const queries = tiny.modules.filter(({ target }) => target === "q_proj");
  expect(() => requireComplete(file, queries.slice(1, 2), "/a", "it says so")).not.toThrow();
  expect(() => requireComplete(file, queries, "/a", "it says so")).toThrow(
    "/a has no matrices for model.layers.0.self_attn.q_proj and 1 more, though it says so.",
  );
});
