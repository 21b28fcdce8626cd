import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bindAdapter } from "../../src/adapters/bind.js";
import { readMlxAdapter, writeMlxAdapter } from "../../src/adapters/mlx.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { readSafetensorsHeader, readTensor } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { largestDifference } from "../support/closeness.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_all"));
const query = "model.layers.0.self_attn.q_proj";

async function written(): Promise<string> {
  const folder = join(temporaryFolder(), "mlx");
  await writeMlxAdapter(folder, { matrices, baseModel: "tiny" }, 3);
  return folder;
}

const configOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"));

describe("an adapter for MLX", () => {
  test("is the same after it was written and read", async () => {
    expect(readMlxAdapter(await written())).toEqual({ matrices, baseModel: "tiny" });
  });

  test("has mlx-lm's names, transposed matrices and settings", async () => {
    const folder = await written();
    const { rank, scale, inFeatures, outFeatures } = matrices.get(query)!;
    const { tensors } = readSafetensorsHeader(join(folder, "adapters.safetensors"));
    expect(tensors.get(`${query}.lora_a`)!.shape).toEqual([inFeatures, rank]);
    expect(tensors.get(`${query}.lora_b`)!.shape).toEqual([rank, outFeatures]);
    expect(configOf(folder)).toEqual({
      fine_tune_type: "lora",
      num_layers: 3,
      model: "tiny",
      lora_parameters: {
        rank,
        scale,
        dropout: 0,
        keys: [
          "mlp.down_proj",
          "mlp.gate_proj",
          "mlp.up_proj",
          "self_attn.k_proj",
          "self_attn.o_proj",
          "self_attn.q_proj",
          "self_attn.v_proj",
        ],
      },
    });
  });

  test("is refused with tensors that are not understood, or without their partner", async () => {
    const refuses = async (name: string, message: RegExp) => {
      const folder = await written();
      const data = new Float32Array(4);
      const tensor = { name, dtype: "F32", shape: [2, 2], data } as const;
      writeSafetensors(join(folder, "adapters.safetensors"), [tensor]);
      expect(() => readMlxAdapter(folder)).toThrow(message);
    };
    await refuses(`${query}.m`, /cannot be used/);
    await refuses(`${query}.lora_b`, /has lora_b but no lora_a/);
  });

  test("is refused where the configuration says another rank, or another method", async () => {
    const folder = await written();
    const path = join(folder, "adapter_config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...config, fine_tune_type: "full" }));
    expect(() => readMlxAdapter(folder)).toThrow(/fine_tune_type is "full"/);
    const lora_parameters = { ...config.lora_parameters, rank: 5 };
    writeFileSync(path, JSON.stringify({ ...config, lora_parameters }));
    expect(() => readMlxAdapter(folder)).toThrow(/gives it rank 5/);
  });

  test("of layers with different ranks and scales has one for all", async () => {
    const folder = join(temporaryFolder(), "mlx");
    const wide = loraMatrices({ rank: 6, inFeatures: 64, outFeatures: 64, scale: 0.5 });
    const mixed = new Map([...matrices, [query, wide]]);
    await writeMlxAdapter(folder, { matrices: mixed, baseModel: undefined }, 3);
    const read = readMlxAdapter(folder, tiny.modules);
    for (const [path, lora] of read.matrices) {
      expect(lora).toMatchObject({ rank: 6, scale: 1 });
      expect(largestDifference(updateOf(lora), updateOf(mixed.get(path)!))).toBeLessThan(1e-6);
    }
  });

  test("of DoRA has magnitudes", async () => {
    const dora = new Map(
      [...matrices].map(([path, lora]) => {
        const magnitude = Float32Array.from({ length: lora.outFeatures }, (_, i) => i + 1);
        return [path, { ...lora, magnitude }] as const;
      }),
    );
    const folder = join(temporaryFolder(), "mlx");
    await writeMlxAdapter(folder, { matrices: dora, baseModel: "tiny" }, 3);
    const { tensors } = readSafetensorsHeader(join(folder, "adapters.safetensors"));
    expect(tensors.get(`${query}.m`)!.shape).toEqual([64]);
    expect(readMlxAdapter(folder, tiny.modules)).toEqual({ matrices: dora, baseModel: "tiny" });
    dora.delete(query);
    await expect(writeMlxAdapter(folder, { matrices: dora, baseModel: "tiny" }, 3)).rejects.toThrow(
      /self_attn\.q_proj of block 0 has no magnitudes/,
    );
    const mixed = new Map([...matrices, ["model.layers.0.mlp.up_proj", [...dora.values()][0]!]]);
    await expect(
      writeMlxAdapter(folder, { matrices: mixed, baseModel: "tiny" }, 3),
    ).rejects.toThrow(/DoRA in some layers only/);
  });

  test("counts blocks from the last, and has zeros where a layer is not adapted", async () => {
    const some = new Map([...matrices].filter(([path]) => /1.*q_proj|2.*[qv]_proj/.test(path)));
    const folder = join(temporaryFolder(), "mlx");
    await writeMlxAdapter(folder, { matrices: some, baseModel: undefined }, 3);
    expect(configOf(folder)).toMatchObject({ num_layers: 2 });
    const read = readMlxAdapter(folder, tiny.modules).matrices;
    expect([...read.keys()].sort()).toEqual(
      [1, 2].flatMap((n) => ["q", "v"].map((t) => `model.layers.${n}.self_attn.${t}_proj`)),
    );
    const { b } = read.get("model.layers.1.self_attn.v_proj")!;
    expect(b.every((value) => value === 0)).toBe(true);
    await expect(
      writeMlxAdapter(folder, { matrices: some, baseModel: undefined }, 2),
    ).rejects.toThrow(/model has 2 blocks, and .*layers\.2/);
  });

  test("of a multimodal model has MLX's path to the text model", async () => {
    const modules = gemmaModules({ ...tiny.config, textPath: "model.language_model" });
    const file = bindAdapter({ matrices, baseModel: undefined }, modules, "here");
    const folder = join(temporaryFolder(), "mlx");
    await writeMlxAdapter(folder, file, 3);
    const { tensors } = readSafetensorsHeader(join(folder, "adapters.safetensors"));
    expect(tensors.has("language_model.model.layers.0.self_attn.q_proj.lora_a")).toBe(true);
    expect(readMlxAdapter(folder, modules)).toEqual(file);
  });

  test("is refused when it has more or less than its configuration says", async () => {
    const folder = await written();
    const config = configOf(folder);
    const change = (changes: object, lora: object = {}) => {
      const lora_parameters = { ...config.lora_parameters, ...lora };
      const changed = { ...config, ...changes, lora_parameters };
      writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(changed));
    };
    const refuses = (message: RegExp) =>
      expect(() => readMlxAdapter(folder, tiny.modules)).toThrow(message);
    change({ num_layers: 2 });
    refuses(/has matrices for model\.layers\.0\..* of the last 2 of 3 blocks/);
    change({}, { keys: ["self_attn.q_proj"] });
    refuses(/has matrices for .*adapts self_attn\.q_proj of the last 3/);
    change({}, { alpha: 16 });
    refuses(/alpha/);
    change({ fine_tune_type: "dora" });
    refuses(/has lora_. but no m\./);
    change({ num_layers: -1 }, { keys: null });
    expect(readMlxAdapter(folder, tiny.modules).matrices).toEqual(matrices);

    const file = join(folder, "adapters.safetensors");
    const kept = [...readSafetensorsHeader(file).tensors.values()]
      .filter(({ name }) => !name.startsWith("model.layers.2.mlp"))
      .map((info) => ({ ...info, data: readTensor(info) }));
    writeSafetensors(file, kept);
    refuses(/no matrices for model\.layers\.2\.mlp\.gate_proj and 2 more, though .*every linear/);
  });
});
