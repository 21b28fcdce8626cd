import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { readPeftAdapter, writePeftAdapter } from "../../src/formats/peft.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();

const QV = new URL("../fixtures/gemma1_tiny/peft_qv", import.meta.url).pathname;
const Q0 = "model.layers.0.self_attn.q_proj";
const WEIGHTS = "adapter_model.safetensors";

function lora(rank: number, inFeatures: number, outFeatures: number, scale: number): LoraMatrices {
  const filled = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i + length));
  const sizes = { rank, inFeatures, outFeatures, scale };
  return { a: filled(rank * inFeatures), b: filled(outFeatures * rank), ...sizes };
}

describe("writePeftAdapter", () => {
  const options = {
    ...{ rank: 4, alpha: 8, targetModules: ["v_proj", "q_proj"], baseModel: "google/gemma-2b" },
    matrices: new Map([[Q0, lora(4, 6, 5, 2)]]),
  };

  it("writes PEFT's own bytes for PEFT's own matrices", async () => {
    const { matrices } = readPeftAdapter(QV);
    await writePeftAdapter(at("out"), { ...options, matrices });
    expect(readFileSync(at("out", WEIGHTS)).equals(readFileSync(`${QV}/${WEIGHTS}`))).toBe(true);
    expect(readdirSync(at())).toEqual(["out"]);
  });

  it("writes the configuration with sorted keys and a whole alpha", async () => {
    await writePeftAdapter(at("out"), options);
    const text = readFileSync(at("out", "adapter_config.json"), "utf8");
    const config = JSON.parse(text);
    expect(Object.keys(config)).toEqual(Object.keys(config).sort());
    expect(text).toContain('\n  "lora_alpha": 8,\n');
    expect(config).toEqual({
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: "google/gemma-2b",
      revision: null,
      r: 4,
      lora_alpha: 8,
      lora_dropout: 0,
      bias: "none",
      target_modules: ["q_proj", "v_proj"],
      use_rslora: false,
      use_dora: false,
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      modules_to_save: null,
      layers_to_transform: null,
      layers_pattern: null,
      rank_pattern: {},
      alpha_pattern: {},
    });
  });

  it("reads back what it wrote", async () => {
    const size = fc.integer({ min: 1, max: 6 });
    const sizes = fc.record({ rank: size, alpha: size, useRslora: fc.boolean(), layers: size });
    const features = fc.tuple(size, size);
    await fc.assert(
      fc.asyncProperty(sizes, features, async ({ rank, alpha, useRslora, layers }, [i, o]) => {
        const scale = alpha / (useRslora ? Math.sqrt(rank) : rank);
        const matrices = new Map(
          Array.from({ length: layers }, (_, layer) => [
            `model.layers.${layer}.mlp.up_proj`,
            lora(rank, i, o, scale),
          ]),
        );
        const targetModules = ["up_proj"];
        const written = { matrices, rank, alpha, targetModules, baseModel: "base", useRslora };
        await writePeftAdapter(at("out"), written);
        const { config, matrices: read } = readPeftAdapter(at("out"));
        expect(config).toMatchObject({ rank, alpha, useRslora, targetModules, baseModel: "base" });
        expect([...read].sort()).toEqual([...matrices].sort());
      }),
      { numRuns: 25 },
    );
  });

  it("reads back DoRA, of some of the blocks", async () => {
    const magnitude = Float32Array.of(1, 2, 3, 4, 5);
    const matrices = new Map([[Q0, { ...lora(4, 6, 5, 2), magnitude }]]);
    await writePeftAdapter(at("out"), { ...options, matrices, layersToTransform: [0] });
    const { config, matrices: read } = readPeftAdapter(at("out"));
    expect(config).toMatchObject({ useDora: true, layersToTransform: [0] });
    expect(read).toEqual(matrices);
  });

  it("replaces an older adapter, but no folder with other files", async () => {
    await writePeftAdapter(at("out"), {
      ...options,
      alpha: 4,
      matrices: new Map([[Q0, lora(4, 6, 5, 1)]]),
    });
    await writePeftAdapter(at("out"), options);
    expect(readPeftAdapter(at("out")).config.alpha).toBe(8);
    writeFileSync(at("out", "notes.txt"), "mine");
    await expect(writePeftAdapter(at("out"), options)).rejects.toThrow(/also holds notes\.txt/);
    expect(existsSync(at("out", "notes.txt"))).toBe(true);
  });

  it.each([
    [{ alpha: 2.5 }, /alpha 2\.5 is not a positive whole number/],
    [{ alpha: 0 }, /alpha 0/],
    [{ rank: 8 }, /q_proj has rank 4, but the adapter's rank is 8/],
    [{ alpha: 4 }, /q_proj has scale 2, but the adapter's alpha and rank give 1/],
    [{ useRslora: true }, /q_proj has scale 2, but the adapter's alpha and rank give 4/],
    [{ targetModules: ["v_proj"] }, /q_proj has LoRA matrices, but target_modules/],
    [{ layersToTransform: [1] }, /q_proj has LoRA matrices, but layers_to_transform names only 1/],
    [
      {
        matrices: new Map([
          [Q0, { ...lora(4, 6, 5, 2), magnitude: new Float32Array(5) }],
          [Q0.replace("q_", "v_"), lora(4, 6, 5, 2)],
        ]),
      },
      /v_proj has no magnitudes, but others have/,
    ],
    [{ matrices: new Map([[Q0, { ...lora(4, 6, 5, 2), inFeatures: 7 }]]) }, /lora_A.*\[4,7\]/],
  ])("refuses %j and leaves what was there", async (changes, message) => {
    mkdirSync(at("out"));
    await expect(writePeftAdapter(at("out"), { ...options, ...changes })).rejects.toThrow(message);
    expect(readdirSync(at())).toEqual(["out"]);
    expect(readdirSync(at("out"))).toEqual([]);
  });
});
