import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readKerasAdapter, writeKerasAdapter } from "../../src/adapters/keras.js";
import { loadAdapter } from "../../src/adapters/loadAdapter.js";
import { type Hdf5Group, readHdf5 } from "../../src/formats/hdf5/readHdf5.js";
import { readKerasLora } from "../../src/formats/kerasLora.js";
import { type Adapter, createAdapter } from "../../src/lora/adapter.js";
import { matricesOf } from "../../src/lora/peft.js";
import { kerasAdapter } from "../support/kerasFit.js";
import { updateOf } from "../support/loraMatrices.js";
import { fixture, temporaryFolder } from "../support/modelFolder.js";
import { referenceGemma } from "../support/referenceGemma.js";
import * as tiny from "../support/tinyGemma.js";

const fromKeras = fixture("keras_gemma1_tiny/adapter.lora.h5");
const everyTarget = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/** Every value other than zero, so that nothing can be forgotten. */
function filled(adapter: Adapter): Adapter {
  adapter.parameters.values.forEach((_, i, values) => {
    values[i] = Math.sin(1 + i);
  });
  return adapter;
}

const at = (name = "made.lora.h5") => join(temporaryFolder(), name);

describe("writeKerasAdapter", () => {
  test("writes what Keras wrote, from Keras's own variables", () => {
    const path = at();
    writeKerasAdapter(path, readKerasAdapter(fromKeras, tiny.modules));
    expect(readKerasLora(path)).toEqual(readKerasLora(fromKeras));
    const [mine, theirs] = [readHdf5(path), readHdf5(fromKeras)];
    expect(mine.members.get("lora")).toBeDefined();
    expect([...(mine.members.get("lora") as Hdf5Group).members.keys()].sort()).toEqual(
      [...(theirs.members.get("lora") as Hdf5Group).members.keys()].sort(),
    );
  });

  test("finds Keras's variables again in their exact PEFT twin", async () => {
    const path = at();
    const twin = await loadAdapter(fixture("keras_gemma1_tiny/peft_from_keras"), tiny.modules);
    expect(twin.config.layout).toBe("standard");
    writeKerasAdapter(path, twin);
    // The twin was made before training.
    const initial = at();
    writeKerasAdapter(initial, kerasAdapter("init"));
    expect(readKerasLora(path)).toEqual(readKerasLora(initial));
  });

  test.each(["gemma1_tiny", "gemma2_tiny", "gemma3_tiny"])(
    "%s: every layer that Keras can adapt comes back",
    (model) => {
      const { modules } = referenceGemma(model);
      const config = { rank: 3, alpha: 3, targets: everyTarget, layout: "keras" } as const;
      const adapter = filled(createAdapter(config, modules, 0));
      const path = at();
      writeKerasAdapter(path, adapter);
      expect([...readKerasLora(path).layers.keys()].sort((a, b) => a - b)).toEqual(
        modules.map(({ kerasIndex }) => kerasIndex).sort((a, b) => a - b),
      );
      const back = readKerasAdapter(path, modules);
      expect(matricesOf(back)).toEqual(matricesOf(adapter));
    },
  );

  test("folds the scale into B, as Keras has none", () => {
    const config = { rank: 2, alpha: 6, targets: ["v_proj", "o_proj"], layout: "keras" } as const;
    const adapter = filled(createAdapter(config, tiny.modules, 0));
    const path = at();
    writeKerasAdapter(path, adapter);
    const back = matricesOf(readKerasAdapter(path, tiny.modules));
    for (const [name, lora] of matricesOf(adapter)) {
      expect(back.get(name)!.scale).toBe(1);
      const [was, is] = [updateOf(lora), updateOf(back.get(name)!)];
      was.forEach((value, i) => {
        expect(is[i]).toBeCloseTo(value, 5);
      });
    }
  });

  test("writes a PEFT adapter on layers where both have one A and one B", () => {
    const targets = ["o_proj", "down_proj"];
    const config = { rank: 4, alpha: 8, targets, layout: "standard" } as const;
    const adapter = filled(createAdapter(config, tiny.modules, 0));
    const path = at();
    writeKerasAdapter(path, adapter);
    const back = matricesOf(readKerasAdapter(path, tiny.modules));
    expect([...back.keys()].sort()).toEqual([...matricesOf(adapter).keys()].sort());
    for (const [name, lora] of matricesOf(adapter)) {
      const is = updateOf(back.get(name)!);
      updateOf(lora).forEach((value, i) => {
        expect(is[i]).toBeCloseTo(value, 4);
      });
    }
  });
});

describe("what Keras cannot hold is refused, and nothing is written", () => {
  test("a query adapter of PEFT: in Keras all heads share one B", () => {
    const path = at();
    const config = { rank: 4, alpha: 4, targets: ["q_proj"], layout: "standard" } as const;
    const adapter = filled(createAdapter(config, tiny.modules, 0));
    expect(() => writeKerasAdapter(path, adapter)).toThrow(
      /all heads of a layer share one B.*--to merged/,
    );
    expect(existsSync(path)).toBe(false);
  });

  test("several ranks: in Keras all layers have one", () => {
    const path = at();
    const ranks = new Map([["model.layers.1.self_attn.o_proj", 2]]);
    const config = { rank: 4, alpha: 4, targets: ["o_proj"], layout: "keras", ranks } as const;
    const adapter = filled(createAdapter(config, tiny.modules, 0));
    expect(() => writeKerasAdapter(path, adapter)).toThrow(
      /Keras has one rank for all layers, and this adapter has 4, 2.*--to merged/,
    );
    expect(existsSync(path)).toBe(false);
  });

  test("DoRA", () => {
    const path = at();
    const config = { rank: 4, alpha: 4, targets: ["o_proj"], layout: "standard" } as const;
    const adapter = createAdapter(config, tiny.modules, 0);
    const magnitudes = new Map(
      adapter.modules.map((module) => [module.path, new Float32Array(module.outFeatures).fill(1)]),
    );
    expect(() => writeKerasAdapter(path, { ...adapter, magnitudes })).toThrow(/DoRA.*--to merged/);
    expect(existsSync(path)).toBe(false);
  });

  test("a name that Keras would not read", () => {
    const adapter = readKerasAdapter(fromKeras, tiny.modules);
    expect(() => writeKerasAdapter(at("made.h5"), adapter)).toThrow(/end in \.lora\.h5/);
  });
});

describe("readKerasAdapter", () => {
  test("refuses the file of another model, and names the first layer that does not fit", () => {
    const { modules } = referenceGemma("gemma3_tiny");
    expect(() => readKerasAdapter(fromKeras, modules)).toThrow(
      /the layer \d+, which it adapts, is no linear layer|has shape \[.*\]; the model wants/,
    );
  });

  test("takes the layers by their order where another KerasHub counted otherwise", () => {
    const adapter = filled(readKerasAdapter(fromKeras, tiny.modules));
    const shifted = {
      ...adapter,
      modules: adapter.modules.map((module) => ({ ...module, kerasIndex: module.kerasIndex + 5 })),
    };
    const path = at();
    writeKerasAdapter(path, shifted);
    expect(matricesOf(readKerasAdapter(path, tiny.modules))).toEqual(matricesOf(adapter));
  });

  test("refuses a file that leaves out layers", () => {
    const config = { rank: 2, alpha: 2, targets: ["v_proj"], layout: "keras" } as const;
    const adapter = filled(createAdapter(config, tiny.modules, 0));
    const path = at();
    writeKerasAdapter(path, { ...adapter, modules: adapter.modules.slice(1) });
    expect(() => readKerasAdapter(path, tiny.modules)).toThrow(/adapts 2 layers; this model has 3/);
  });
});
