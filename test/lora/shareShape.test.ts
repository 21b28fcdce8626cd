import { describe, expect, test } from "vitest";
import { adapterFromPeft, toPeft } from "../../src/lora/peft.js";
import { shareShape } from "../../src/lora/shareShape.js";
import { kerasAdapter } from "../support/kerasFit.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";
import * as tiny from "../support/tinyGemma.js";

const query = "model.layers.1.self_attn.q_proj";
const up = "model.layers.2.mlp.up_proj";
const one = adapterFromPeft(
  new Map([[query, loraMatrices({ rank: 2, inFeatures: 64, outFeatures: 64, scale: 2 })]]),
  tiny.modules,
  "one",
);
const other = adapterFromPeft(
  new Map([[up, loraMatrices({ rank: 5, inFeatures: 64, outFeatures: 128, scale: 2 }, 1)]]),
  tiny.modules,
  "other",
);

describe("adapters of one shape", () => {
  test("have all modules and the largest rank, and the updates that they had", () => {
    const { adapters, none } = shareShape([one, other]);
    const slots = adapters.map(({ parameters }) => parameters.slots);
    expect(slots[1]).toEqual(slots[0]);
    expect(none.parameters.slots).toEqual(slots[0]);
    expect(adapters[0]!.config).toMatchObject({ rank: 5, alpha: 10, layout: "standard" });
    expect(none.parameters.values.every((value) => value === 0)).toBe(true);
    [one, other].forEach((adapter, i) => {
      const { matrices } = toPeft(adapters[i]!);
      expect([...matrices.keys()].sort()).toEqual([query, up].sort());
      const before = toPeft(adapter).matrices;
      for (const [path, lora] of matrices) {
        const update = updateOf(lora);
        const old = before.get(path);
        expect(update).toEqual(old ? updateOf(old) : new Float64Array(update.length));
      }
    });
  });

  test("may come from Keras's layout, and have different scales", () => {
    const keras = kerasAdapter("after_fit_batch2");
    const { adapters } = shareShape([keras, one]);
    expect(adapters[0]!.config).toMatchObject({ rank: 16, alpha: 16 });
    for (const [path, lora] of toPeft(keras).matrices) {
      expect(updateOf(toPeft(adapters[0]!).matrices.get(path)!)).toEqual(updateOf(lora));
    }
  });
});
