import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { readFloat32, readSafetensorsHeader, readTensor } from "../../src/formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();
const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname;

const QV = fixture("gemma1_tiny/peft_qv");
const Q0 = "model.layers.0.self_attn.q_proj";
const WEIGHTS = "adapter_model.safetensors";

/** A copy of PEFT's q+v adapter with some settings changed (undefined removes one). */
function copyWithConfig(changes: Record<string, unknown>): string {
  cpSync(QV, at("adapter"), { recursive: true });
  const config = JSON.parse(readFileSync(`${QV}/adapter_config.json`, "utf8"));
  writeFileSync(at("adapter", "adapter_config.json"), JSON.stringify({ ...config, ...changes }));
  return at("adapter");
}

/** A copy of PEFT's q+v adapter with its tensors changed. */
function copyWithTensors(change: (tensors: TensorToWrite[]) => TensorToWrite[]): string {
  cpSync(QV, at("adapter"), { recursive: true });
  const { tensors } = readSafetensorsHeader(`${QV}/${WEIGHTS}`);
  const list = [...tensors.values()].map((info) => ({ ...info, data: readTensor(info) }));
  writeSafetensors(at("adapter", WEIGHTS), change(list));
  return at("adapter");
}

describe("readPeftAdapter", () => {
  it("reads the query and value adapter that PEFT saved", () => {
    const { config, matrices } = readPeftAdapter(QV);
    expect(config).toMatchObject({ rank: 4, alpha: 8, useRslora: false, baseModel: "gemma1_tiny" });
    expect([...matrices.keys()].sort()).toEqual(
      [0, 1, 2].flatMap((layer) => [
        `model.layers.${layer}.self_attn.q_proj`,
        `model.layers.${layer}.self_attn.v_proj`,
      ]),
    );
    const q = matrices.get(Q0)!;
    expect(q).toMatchObject({ rank: 4, inFeatures: 64, outFeatures: 64, scale: 2 });
    const stored = readSafetensorsHeader(`${QV}/${WEIGHTS}`).tensors;
    expect(q.a).toEqual(readFloat32(stored.get(`base_model.model.${Q0}.lora_A.weight`)!));
    expect(q.b).toEqual(readFloat32(stored.get(`base_model.model.${Q0}.lora_B.weight`)!));
    expect(matrices.get("model.layers.2.self_attn.v_proj")?.outFeatures).toBe(16);
  });

  it("reads the adapter of all linear layers", () => {
    const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_all"));
    expect(matrices.size).toBe(21);
    expect(matrices.get("model.layers.1.mlp.down_proj")).toMatchObject({
      ...{ rank: 4, inFeatures: 128, outFeatures: 64, scale: 2 },
    });
  });

  it("follows rank_pattern and alpha_pattern", () => {
    const { matrices } = readPeftAdapter(fixture("keras_gemma1_tiny/peft_from_keras"));
    expect(matrices.get(Q0)).toMatchObject({ rank: 16, inFeatures: 64, outFeatures: 64, scale: 1 });
    expect(matrices.get("model.layers.0.self_attn.v_proj")).toMatchObject({ rank: 4, scale: 1 });
  });

  it("gives the update of the Keras variables that an adapter was converted from", () => {
    const { matrices } = readPeftAdapter(fixture("keras_gemma1_tiny/peft_from_keras"));
    const { tensors } = readSafetensorsHeader(fixture("keras_gemma1_tiny/fit.safetensors"));
    const [hidden, headDim, kerasRank] = [64, 16, 4];
    for (const [projection, heads] of [
      ["query", 4],
      ["value", 1],
    ] as const) {
      const prefix = `init/decoder_block_1/attention/${projection}/lora_kernel_`;
      const kernelA = readFloat32(tensors.get(`${prefix}a`)!);
      const kernelB = readFloat32(tensors.get(`${prefix}b`)!);
      const { a, b, rank, scale } = matrices.get(`model.layers.1.self_attn.${projection[0]}_proj`)!;
      let worst = 0;
      for (let row = 0; row < heads * headDim; row++) {
        for (let column = 0; column < hidden; column++) {
          let update = 0;
          for (let r = 0; r < rank; r++)
            update += scale * b[row * rank + r]! * a[r * hidden + column]!;
          const place = Math.floor(row / headDim) * hidden + column;
          for (let r = 0; r < kerasRank; r++) {
            update -= kernelA[place * kerasRank + r]! * kernelB[r * headDim + (row % headDim)]!;
          }
          worst = Math.max(worst, Math.abs(update));
        }
      }
      expect(worst).toBeLessThan(1e-7);
    }
  });

  it.each([
    [{ "layers.0.self_attn.q_proj": 2, q_proj: 4 }, [0.5, 1]],
    [{ q_proj: 4, "layers.0.self_attn.q_proj": 2 }, [1, 1]],
    [{ "layers\\.[12]\\..*q_proj": 2 }, [2, 0.5]],
    [{ proj: 2 }, [2, 2]],
    [{ "^model.layers.0.self_attn.q_proj": 4 }, [1, 2]],
  ])("matches patterns at the end of a path, the first one first: %j", (alphaPattern, scales) => {
    const { matrices } = readPeftAdapter(copyWithConfig({ alpha_pattern: alphaPattern }));
    const read = [Q0, "model.layers.1.self_attn.q_proj"].map((name) => matrices.get(name)?.scale);
    expect(read).toEqual(scales);
  });

  it("scales by the root of the rank for rank-stabilised LoRA", () => {
    const { matrices } = readPeftAdapter(copyWithConfig({ use_rslora: true, lora_alpha: 3.5 }));
    expect(matrices.get(Q0)?.scale).toBe(1.75);
  });

  it("takes what a setting has when nothing was set, known or not", () => {
    const config = {
      new_setting: null,
      newer_setting: {},
      target_modules: "all-linear",
      bias: "none",
    };
    expect(readPeftAdapter(copyWithConfig(config)).matrices.size).toBe(6);
  });

  it.each([
    [
      { use_dora: true },
      /q_proj has no lora_magnitude_vector, but adapter_config.json says use_dora/,
    ],
    [{ layers_to_transform: [0, 2] }, /layers\.1\..*layers_to_transform names only 0, 2/],
    [{ layers_to_transform: 1 }, /layers_to_transform names only 1/],
    [{ layers_to_transform: "0" }, /layers_to_transform/],
    [{ modules_to_save: ["lm_head"] }, /modules_to_save = \["lm_head"\]/],
    [{ bias: "all" }, /bias = "all"/],
    [{ lora_bias: true }, /lora_bias = true/],
    [{ fan_in_fan_out: true }, /fan_in_fan_out = true: .*transposed/],
    [{ init_lora_weights: "pissa" }, /init_lora_weights = "pissa".*save_pretrained/],
    [{ peft_type: "IA3" }, /peft_type = "IA3"/],
    [{ layer_replication: [[0, 2]] }, /layer_replication/],
    [{ trainable_token_indices: [1] }, /trainable_token_indices/],
    [{ a_new_thing: 3 }, /a_new_thing = 3: Facet does not know/],
    [{ r: 0 }, /r\b/],
    [{ r: "4" }, /r\b/],
    [{ r: undefined }, /r\b/],
    [{ lora_alpha: -1 }, /lora_alpha/],
    [{ rank_pattern: { q_proj: 1.5 } }, /rank_pattern/],
    [{ r: 8 }, /lora_A.weight" is \[4,64\], of rank 4; .* rank 8/],
    [{ rank_pattern: { v_proj: 2 } }, /v_proj.*of rank 4; .* rank 2/],
    [
      { target_modules: ["v_proj"] },
      /q_proj has LoRA matrices, but target_modules names only v_proj/,
    ],
    [{ alpha_pattern: { "(": 2 } }, /pattern "\(".*not a regular expression/],
    [{ alpha_pattern: { "((q|v)_proj|.)*!": 2, "([^!]+)+!": 2 } }, /too complex/],
    [{ rank_pattern: ["q_proj"] }, /an object of positive whole numbers/],
    [{ target_modules: [1, 2] }, /target_modules/],
  ])("refuses the setting %j with the reason", (changes, message) => {
    const folder = copyWithConfig(changes);
    expect(() => readPeftAdapter(folder)).toThrow(FacetError);
    expect(() => readPeftAdapter(folder)).toThrow(message);
  });

  const rename = (from: RegExp, to: string) => (tensors: TensorToWrite[]) =>
    tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace(from, to) }));
  const drop = (name: RegExp) => (tensors: TensorToWrite[]) =>
    tensors.filter((tensor) => !name.test(tensor.name));
  const add = (name: string) => (tensors: TensorToWrite[]) => [
    ...tensors,
    { name, dtype: "F32" as const, shape: [1], data: Float32Array.of(1) },
  ];
  const reshape = (name: RegExp, shape: number[]) => (tensors: TensorToWrite[]) =>
    tensors.map((tensor) => (name.test(tensor.name) ? { ...tensor, shape } : tensor));

  it.each([
    ["without PEFT's prefix", rename(/^base_model\.model\./, "")],
    ["with PEFT's name of the adapter", rename(/\.weight$/, ".default.weight")],
  ])("reads names %s", (_, change) => {
    expect(readPeftAdapter(copyWithTensors(change)).matrices).toEqual(readPeftAdapter(QV).matrices);
  });

  it.each(["", ".weight", ".default.weight"])(
    "reads the magnitudes of DoRA, named lora_magnitude_vector%s",
    (suffix) => {
      const magnitudes = (tensors: TensorToWrite[]) =>
        tensors.flatMap((tensor) => {
          const [, module] = /^(.+)\.lora_B\.weight$/.exec(tensor.name) ?? [];
          if (module === undefined) return [tensor];
          const data = Float32Array.from({ length: tensor.shape[0]! }, (_, i) => i + 0.5);
          const name = `${module}.lora_magnitude_vector${suffix}`;
          return [tensor, { name, dtype: "F32" as const, shape: [data.length], data }];
        });
      const folder = copyWithTensors(magnitudes);
      const config = JSON.parse(readFileSync(`${QV}/adapter_config.json`, "utf8"));
      writeFileSync(`${folder}/adapter_config.json`, JSON.stringify({ ...config, use_dora: true }));
      const { matrices } = readPeftAdapter(folder);
      for (const [module, lora] of readPeftAdapter(QV).matrices) {
        const magnitude = Float32Array.from({ length: lora.outFeatures }, (_, i) => i + 0.5);
        expect(matrices.get(module)).toEqual({ ...lora, magnitude });
      }
    },
  );

  it.each([
    [
      "an A without its B",
      drop(/0.*q_proj.lora_B/),
      /0\.self_attn\.q_proj has lora_A but no lora_B/,
    ],
    [
      "a B without its A",
      drop(/1.*v_proj.lora_A/),
      /1\.self_attn\.v_proj has lora_B but no lora_A/,
    ],
    ["no matrix at all", drop(/./), /no LoRA matrix/],
    [
      "an unknown tensor",
      add("base_model.model.lm_head.weight"),
      /lm_head.weight".*have to ignore/,
    ],
    [
      "DoRA's magnitudes, which PEFT would ignore",
      add(`base_model.model.${Q0}.lora_magnitude_vector`),
      /q_proj has a lora_magnitude_vector, but adapter_config.json does not say use_dora/,
    ],
    [
      "DoRA's magnitudes alone",
      (tensors) => add(`${Q0}.lora_magnitude_vector`)(drop(/0.*q_proj/)(tensors)),
      /q_proj has a magnitude vector but no lora_A/,
    ],
    ["two matrices for one", add(`${Q0}.lora_A.weight`), /are for the same matrix/],
    [
      "an adapted embedding",
      add("base_model.model.model.embed_tokens.lora_embedding_A"),
      /embedding/,
    ],
    ["a trained bias", add(`base_model.model.${Q0}.lora_B.bias`), /trained bias/],
    ["the names of another adapter", rename(/\.weight$/, ".other.weight"), /its name is not/],
    [
      "a matrix of another rank",
      reshape(/0.*q_proj.lora_B/, [32, 8]),
      /lora_B.weight" is \[32,8\]/,
    ],
    ["a tensor of three axes", reshape(/0.*q_proj.lora_A/, [4, 8, 8]), /\[4,8,8\], not a matrix/],
  ])("refuses weights with %s", (_, change, message) => {
    const folder = copyWithTensors(change);
    expect(() => readPeftAdapter(folder)).toThrow(FacetError);
    expect(() => readPeftAdapter(folder)).toThrow(message);
    expect(() => readPeftAdapter(folder)).toThrow(folder);
  });

  it("says what is missing in a folder", () => {
    expect(() => readPeftAdapter(at())).toThrow(
      /not a PEFT adapter: it has no adapter_config\.json/,
    );
    const folder = copyWithConfig({});
    rmSync(at("adapter", WEIGHTS));
    expect(() => readPeftAdapter(folder)).toThrow(/Cannot read .*adapter_model\.safetensors/);
    writeFileSync(at("adapter", "adapter_model.bin"), "");
    expect(() => readPeftAdapter(folder)).toThrow(/format that can run code/);
  });

  it("refuses a configuration that is not JSON", () => {
    writeFileSync(`${copyWithConfig({})}/adapter_config.json`, "r: 4");
    expect(() => readPeftAdapter(at("adapter"))).toThrow(/adapter_config\.json: not valid JSON/);
  });
});
