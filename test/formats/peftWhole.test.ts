import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { readPeft, writePeft } from "../../src/adapters/peft.js";
import { FacetError } from "../../src/errors.js";
import { readFloat32, readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { readWhole, tensorOf } from "../../src/formats/storedTensor.js";
import { openModel } from "../../src/hub/openModel.js";
import { toPeft } from "../../src/lora/peft.js";
import { openSession } from "../../src/runtime/session.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const { matrices } = toPeft(tiny.adapter("qv"));
const waves = (shape: readonly number[], phase: number) =>
  tensorOf(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + phase)),
  );
const whole = new Map([
  ["model.embed_tokens.weight", waves([512, 64], 0)],
  ["model.norm.weight", waves([64], 1)],
  ["model.layers.1.input_layernorm.weight", waves([64], 2)],
]);

async function written(tensors = whole) {
  const folder = join(temporaryFolder(), "adapter");
  await writePeft(folder, { matrices, baseModel: "base", whole: tensors }, tiny.modules);
  return folder;
}

/** The folder with another configuration or other tensors. */
function changed(
  folder: string,
  change: {
    config?: object;
    tensors?: (all: Map<string, { shape: readonly number[]; data: Float32Array }>) => void;
  },
): string {
  const path = join(folder, "adapter_config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...config, ...change.config }));
  const file = join(folder, "adapter_model.safetensors");
  const all = new Map(
    [...readSafetensorsHeader(file).tensors].map(([name, info]) => [
      name,
      { shape: info.shape, data: readFloat32(info) },
    ]),
  );
  change.tensors?.(all);
  writeSafetensors(
    file,
    [...all].map(([name, tensor]) => ({ name, dtype: "F32" as const, ...tensor })),
  );
  return folder;
}

describe("a PEFT folder with modules_to_save", () => {
  test("has the tensors under PEFT's names, and the embedding as the output head too", async () => {
    const folder = await written();
    const config = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"));
    expect(config.modules_to_save).toEqual(["embed_tokens", "input_layernorm", "lm_head", "norm"]);
    const { tensors } = readSafetensorsHeader(join(folder, "adapter_model.safetensors"));
    const embedding = readWhole(whole.get("model.embed_tokens.weight")!);
    for (const name of ["model.embed_tokens.weight", "lm_head.weight"]) {
      expect(readFloat32(tensors.get(`base_model.model.${name}`)!)).toEqual(embedding);
    }
  });

  test("is read back with the same tensors, and the head left out", async () => {
    const read = readPeft(await written(), tiny.modules);
    expect([...read.whole!.keys()].sort()).toEqual([...whole.keys()].sort());
    for (const [name, tensor] of whole) {
      expect(readWhole(read.whole!.get(name)!)).toEqual(readWhole(tensor));
    }
    expect(read.matrices).toEqual(matrices);
  });

  test("is for models whose text model lies elsewhere, too", async () => {
    const inside = tiny.modules.map((module) => ({
      ...module,
      path: module.path.replace(/^model\./, "model.language_model."),
    }));
    const { whole } = readPeft(await written(), inside);
    expect([...whole!.keys()]).toContain("model.language_model.norm.weight");
  });

  test.each([
    [
      "a head that is not the embedding",
      { tensors: (all) => all.get("base_model.model.lm_head.weight")!.data.fill(0) },
      /the output head is another matrix than model\.embed_tokens\.weight/,
    ],
    [
      "a module without its weight",
      { tensors: (all) => all.delete("base_model.model.model.norm.weight") && undefined },
      /has no weight for norm, which modules_to_save names/,
    ],
    [
      "the embedding alone, which PEFT would not use for the head",
      { config: { modules_to_save: ["embed_tokens"] } },
      /modules_to_save = \["embed_tokens"\]: of a Gemma it can replace norms/,
    ],
    [
      "a weight that it does not name",
      { config: { modules_to_save: ["embed_tokens", "lm_head", "norm"] } },
      /input_layernorm\.weight" cannot be used/,
    ],
  ] satisfies [string, Parameters<typeof changed>[1], RegExp][])(
    "is refused with %s",
    async (_what, change, message) => {
      const folder = changed(await written(), change);
      expect(() => readPeft(folder, tiny.modules)).toThrow(message);
      expect(() => readPeft(folder, tiny.modules)).toThrow(FacetError);
    },
  );

  test("is refused by a model that has other shapes", async () => {
    const folder = await written(new Map([["model.norm.weight", waves([32], 0)]]));
    const adapter = await loadAdapter(folder, tiny.modules);
    const model = await openModel(tinyModelFolder());
    expect(() => openSession(model, tiny.engine, adapter)).toThrow(
      "The adapter replaces model.norm.weight by [32], and the model has [64]. It is for another model.",
    );
  });
});
