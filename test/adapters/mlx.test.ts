import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readMlxAdapter, writeMlxAdapter } from "../../src/adapters/mlx.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { readSafetensorsHeader } from "../../src/formats/safetensors.js";
import { writeSafetensors } from "../../src/formats/safetensorsWriting.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";

const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_all"));
const query = "model.layers.0.self_attn.q_proj";

async function written(): Promise<string> {
  const folder = join(temporaryFolder(), "mlx");
  await writeMlxAdapter(folder, { matrices, baseModel: "tiny" }, 3);
  return folder;
}

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
    expect(JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"))).toEqual({
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

  test("cannot hold layers of different rank", async () => {
    const lora = matrices.get(query)!;
    const other = new Map([...matrices, [query, { ...lora, rank: lora.rank + 1 }]]);
    await expect(
      writeMlxAdapter(join(temporaryFolder(), "x"), { matrices: other, baseModel: "tiny" }, 3),
    ).rejects.toThrow("MLX has one rank and scale for all layers");
  });
});
