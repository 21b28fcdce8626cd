import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { writeMlxAdapter } from "../../src/adapters/mlx.js";
import { readAdapter } from "../../src/adapters/read.js";
import { views } from "../../src/engines/parameters.js";
import { FacetError } from "../../src/errors.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { toPeft } from "../../src/lora/peft.js";
import { kerasAdapter } from "../support/kerasFit.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const peft = (which: "qv" | "all") => fixture(`gemma1_tiny/peft_${which}`);

describe("loadAdapter", () => {
  test.each(["qv", "all"] as const)(
    "reads a PEFT folder, %s: the same variables and scale",
    async (which) => {
      const loaded = await loadAdapter(peft(which), tiny.modules);
      const wanted = tiny.adapter(which);
      const { rank, alpha } = loaded.config;
      expect({ rank, alpha }).toEqual({ rank: 4, alpha: 8 });
      const mine = views(loaded.parameters.slots, loaded.parameters.values);
      const theirs = views(wanted.parameters.slots, wanted.parameters.values);
      expect(Object.keys(mine).sort()).toEqual(Object.keys(theirs).sort());
      for (const [name, { data }] of Object.entries(theirs)) expect(mine[name]!.data).toEqual(data);
    },
  );

  test("reads a run folder's adapter", async () => {
    const run = temporaryFolder();
    cpSync(peft("qv"), join(run, "adapter"), { recursive: true });
    const loaded = await loadAdapter(run, tiny.modules);
    expect(loaded.parameters).toEqual((await loadAdapter(peft("qv"), tiny.modules)).parameters);
  });

  test("reads a Keras .lora.h5 file", async () => {
    const path = fixture("keras_gemma1_tiny/adapter.lora.h5");
    const { config, parameters } = await loadAdapter(path, tiny.modules);
    expect(config).toMatchObject({ rank: 4, alpha: 4, layout: "keras" });
    expect(parameters).toEqual(kerasAdapter("after_fit_batch2").parameters);
  });

  test("reads an MLX folder, of DoRA too", async () => {
    const matrices = new Map(
      [...readPeftAdapter(peft("qv")).matrices].map(([path, lora]) => {
        const magnitude = new Float32Array(lora.outFeatures).fill(3);
        return [path, { ...lora, magnitude }] as const;
      }),
    );
    const folder = join(temporaryFolder(), "mlx");
    await writeMlxAdapter(folder, { matrices, baseModel: undefined }, 3);
    const { magnitudes, ...loaded } = await loadAdapter(folder, tiny.modules);
    expect(loaded.parameters.values).toEqual(
      (await loadAdapter(peft("qv"), tiny.modules)).parameters.values,
    );
    expect([...magnitudes!.keys()]).toEqual(loaded.modules.map((module) => module.path));
  });

  test("needs the base model to know what a Keras file is for", async () => {
    const path = fixture("keras_gemma1_tiny/adapter.lora.h5");
    const { matrices } = await readAdapter(path, tiny.modules);
    expect(matrices).toEqual(toPeft(kerasAdapter("after_fit_batch2")).matrices);
    await expect(readAdapter(path)).rejects.toThrow(
      /does not say how large the layers .* base model too/,
    );
  });

  test("refuses what is no adapter, or one for another model", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "adapter"));
    await expect(loadAdapter(folder, tiny.modules)).rejects.toThrow(`${folder} is no adapter`);
    const fewer = tiny.modules.filter(({ layer }) => layer < 2);
    for (const path of [peft("qv"), fixture("keras_gemma1_tiny/adapter.lora.h5")]) {
      const smaller = tiny.modules.map((m) => ({ ...m, inFeatures: 32 }));
      await expect(loadAdapter(path, smaller)).rejects.toThrow(FacetError);
    }
    await expect(loadAdapter(peft("qv"), fewer)).rejects.toThrow(
      /adapts model\.layers\.2\.self_attn\.q_proj, which the base model does not have/,
    );
  });
});
