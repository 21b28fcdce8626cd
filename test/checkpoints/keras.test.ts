import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { readKerasPreset } from "../../src/checkpoints/keras.js";
import { writeKerasPreset } from "../../src/checkpoints/kerasWriting.js";
import { mergeAdapter } from "../../src/checkpoints/merge.js";
import { modelFormat } from "../../src/checkpoints/modelFiles.js";
import { type Hdf5Group, readHdf5 } from "../../src/formats/hdf5/readHdf5.js";
import { readFloat32, readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { readWhole } from "../../src/formats/storedTensor.js";
import { openModel } from "../../src/hub/openModel.js";
import { presets } from "../../src/hub/presets.js";
import { toPeft } from "../../src/lora/peft.js";
import { fromKerasConfig, toKerasConfig } from "../../src/models/gemma/kerasConfig.js";
import { promptLogits } from "../../src/recipes/proof.js";
import { openSession } from "../../src/runtime/session.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { fixture, temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import { referenceGemma } from "../support/referenceGemma.js";
import { engine } from "../support/tinyGemma.js";

const preset = fixture("keras_gemma1_tiny/preset");
const at = (name: string) => join(temporaryFolder(), name);

describe("the preset that KerasHub saved", () => {
  test("is the model that Transformers has in its folder", () => {
    const { config, tensors, tokenizer } = readKerasPreset(preset);
    const expected = readHuggingFace(fixture("gemma1_tiny"));
    // KerasHub does not save for how long sequences a model was made.
    expect({ ...config, maxPositions: 256 }).toEqual(expected.config);
    expect(tokenizer!.pieces).toEqual(readHuggingFace(tinyModelFolder()).tokenizer!.pieces);
    for (const [name, tensor] of expected.tensors) {
      expect(tensors.get(name)!.shape, name).toEqual(tensor.shape);
      expect(readWhole(tensors.get(name)!), name).toEqual(readWhole(tensor));
    }
  });

  test("opens like any model, and computes Keras's logits", async () => {
    const model = await openModel(preset, { cache: temporaryFolder() });
    expect(model.tokenizer!.vocabularySize).toBe(512);
    const session = openSession(model, engine);
    const ids = referenceGemma("gemma1_tiny").truth.tensor("nopad/input_ids");
    const rows = [0, 20].map((from) => [...(ids.data as Int32Array).subarray(from, from + 20)]);
    const { values } = await promptLogits(session, rows);
    await session.close();
    const { tensors } = readSafetensorsHeader(fixture("keras_gemma1_tiny/logits.safetensors"));
    const expected = readFloat32(tensors.get("nopad/logits")!);
    const found = Float32Array.from(values.flatMap((row) => [...row]));
    expect(largestDifference(found, expected)).toBeLessThan(2e-5);
  });

  test("is found inside the weights of a whole task", async () => {
    const folder = at("task");
    cpSync(preset, folder, { recursive: true });
    const weights = join(folder, "model.weights.h5");
    cpSync(fixture("keras_gemma1_tiny/lora_model.weights.h5"), weights, { force: true });
    // Keras saves the kernels of layers with LoRA enabled with their updates added.
    const { modules } = referenceGemma("gemma1_tiny");
    const adapter = await loadAdapter(fixture("keras_gemma1_tiny/adapter.lora.h5"), modules);
    const merged = mergeAdapter(readKerasPreset(preset), toPeft(adapter).matrices);
    for (const [name, tensor] of readKerasPreset(folder).tensors) {
      const difference = largestDifference(readWhole(tensor), readWhole(merged.tensors.get(name)!));
      expect(difference, name).toBeLessThan(1e-7);
    }
  });

  test("is written again with the same files", async () => {
    const folder = at("again");
    await writeKerasPreset(folder, readKerasPreset(preset), { dtype: "F32" });
    for (const name of ["config", "task", "preprocessor", "tokenizer", "metadata"]) {
      const json = (place: string) => JSON.parse(readFileSync(join(place, `${name}.json`), "utf8"));
      const [ours, theirs] = [json(folder), json(preset)];
      // What depends on the day, the version, and on what its user chose for the preprocessor.
      const text = (value: unknown) =>
        JSON.stringify(value, (key, inner) =>
          ["date_saved", "keras_hub_version", "sequence_length"].includes(key)
            ? undefined
            : inner !== null && typeof inner === "object" && !Array.isArray(inner)
              ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
              : inner,
        );
      expect(text(ours), name).toBe(text(theirs));
    }
    const compare = (ours: Hdf5Group, theirs: Hdf5Group, path: string) => {
      expect([path, ...ours.attributes]).toEqual([path, ...theirs.attributes]);
      for (const [key, member] of theirs.members) {
        // Layers without variables need no place: Keras reads nothing from them.
        if (
          ["dropout_layer", "rope_layer", "softmax", "input_layer", "input_layer_1"].includes(key)
        ) {
          continue;
        }
        const own = ours.members.get(key)!;
        expect(own?.kind, `${path}/${key}`).toBe(member.kind);
        if (member.kind === "group") compare(own as Hdf5Group, member, `${path}/${key}`);
        else if (own.kind === "dataset")
          expect([own.shape, own.type]).toEqual([member.shape, member.type]);
      }
    };
    compare(
      readHdf5(join(folder, "model.weights.h5")),
      readHdf5(join(preset, "model.weights.h5")),
      "",
    );
    const [ours, theirs] = [readKerasPreset(folder), readKerasPreset(preset)];
    for (const [name, tensor] of theirs.tensors) {
      expect(readWhole(ours.tensors.get(name)!)).toEqual(readWhole(tensor));
    }
  });
});

describe("presets of ours", () => {
  test.each(["gemma1_tiny", "gemma2_tiny", "gemma3_tiny"])(
    "%s is the same after it was written and read, in one file and in shards",
    async (family) => {
      const folder = at("p");
      const source = join(temporaryFolder(), "source");
      mkdirSync(source);
      for (const name of ["config.json", "model.safetensors"]) {
        cpSync(fixture(`${family}/${name}`), join(source, name));
      }
      cpSync(fixture("tok512/tokenizer.model"), join(source, "tokenizer.model"));
      const read = readHuggingFace(source);
      // KerasHub's classes have the scale and the order of layers of the published models only.
      const { slidingWindow: window, ...config } = read.config;
      const layers = [0, 1, 2, 3, 4, 5, 6].map((i) =>
        family === "gemma2_tiny" ? i % 2 === 0 : i % 6 !== 5,
      );
      const original = {
        ...read,
        config: {
          ...config,
          ...(window && { queryScalar: config.headDim }),
          ...(window && {
            slidingWindow: { ...window, layers: layers.slice(0, config.numLayers) },
          }),
        },
      };
      for (const shardBytes of [1e9, 150_000]) {
        await writeKerasPreset(folder, original, { dtype: "F32", shardBytes });
        expect(existsSync(join(folder, "model.weights.json"))).toBe(shardBytes < 1e9);
        const copy = readKerasPreset(folder);
        const { maxPositions } = original.config;
        expect({ ...copy.config, maxPositions }).toEqual(original.config);
        for (const [name, tensor] of original.tensors) {
          expect(readWhole(copy.tensors.get(name)!), name).toEqual(readWhole(tensor));
        }
      }
    },
  );

  test("bfloat16 weights are stored as Keras stores them", async () => {
    const folder = at("half");
    const original = readHuggingFace(tinyModelFolder());
    await writeKerasPreset(folder, original, { dtype: "BF16" });
    expect(modelFormat(folder)).toBe("keras");
    const copy = readKerasPreset(folder);
    for (const [name, tensor] of original.tensors) {
      expect(copy.tensors.get(name)!.dtype).toBe("BF16");
      expect(relativeError(readWhole(copy.tensors.get(name)!), readWhole(tensor))).toBeLessThan(
        4e-3,
      );
    }
  });

  test("configurations of every preset go to Keras and back", () => {
    for (const [name, { config }] of Object.entries(presets)) {
      const class_name = config.family === "gemma3_text" ? "Gemma3Backbone" : "GemmaBackbone";
      const back = fromKerasConfig({ class_name, config: toKerasConfig(config) }, "x");
      // A Keras preset is the text model alone.
      const { textPath: _, ...text } = config;
      expect({ ...back, maxPositions: config.maxPositions }, name).toEqual(text);
    }
  });

  test("a shard outside of the folder, a missing one and a damaged model are refused", async () => {
    const folder = at("p");
    await writeKerasPreset(folder, readHuggingFace(tinyModelFolder()), {
      dtype: "F32",
      shardBytes: 150_000,
    });
    const index = join(folder, "model.weights.json");
    const good = readFileSync(index, "utf8");
    writeFileSync(index, good.replaceAll("model_00001", "../model_00001"));
    expect(() => readKerasPreset(folder)).toThrow(
      /is not the name of a .weights.h5 file in that folder/,
    );
    writeFileSync(index, good.replaceAll("model_00001", "model_00009"));
    expect(() => readKerasPreset(folder)).toThrow(/lacks model_00009.weights.h5/);
    const config = join(folder, "config.json");
    writeFileSync(index, good);
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace('"num_layers": 3', '"num_layers": 2'),
    );
    expect(() => readKerasPreset(folder)).toThrow(/is no variable of this model/);
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace('"num_layers": 2', '"num_layers": 4'),
    );
    expect(() => readKerasPreset(folder)).toThrow(/gemma_decoder_block_3.* is missing; expected/);
  });
});
