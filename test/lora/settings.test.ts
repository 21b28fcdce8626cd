import { describe, expect, test } from "vitest";
import { readPeft, writePeft } from "../../src/adapters/peft.js";
import { FacetError } from "../../src/errors.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { createAdapter } from "../../src/lora/adapter.js";
import { rankOf, scaleOf, targetModules } from "../../src/lora/config.js";
import { fromPeft, matricesOf } from "../../src/lora/peft.js";
import { type LoraSettings, loraConfigOf } from "../../src/lora/settings.js";
import { loraVariables } from "../../src/lora/variables.js";
import { targets } from "../../src/models/gemma/weights.js";
import { relativeError } from "../support/closeness.js";
import { temporaryFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const basic = { rank: 4, modules: ["q_proj", "v_proj"], layout: "standard" } as const;
const configOf = (settings: Partial<LoraSettings>) =>
  loraConfigOf({ ...basic, ...settings }, tiny.modules);
const chosen = (settings: Partial<LoraSettings>) =>
  targetModules(configOf(settings), tiny.modules).map(({ path }) => path.slice(13));
const moduleOf = (path: string) => tiny.modules.find((module) => module.path.endsWith(path))!;

describe("an adapter's settings", () => {
  test("name layers, or all linear ones", () => {
    expect(chosen({ modules: ["k_proj"] })).toEqual([0, 1, 2].map((i) => `${i}.self_attn.k_proj`));
    expect(configOf({ modules: ["all-linear"] }).targets).toEqual([...targets]);
    expect(chosen({ modules: ["all-linear"] })).toHaveLength(3 * 7);
  });

  test.each([
    ["0", [0]],
    ["0-1", [0, 1]],
    [" 2, 0 - 0,2", [0, 2]],
    ["0-2", [0, 1, 2]],
  ])("name blocks: %j", (layers, expected) => {
    expect(chosen({ modules: ["q_proj"], layers })).toEqual(
      expected.map((i) => `${i}.self_attn.q_proj`),
    );
  });

  test("give ranks and alphas to the layers whose path ends in a pattern; the first one counts", () => {
    const config = configOf({
      alpha: 8,
      rankPattern: ["layers.1.self_attn.q_proj=2", "q_proj=16"],
      alphaPattern: ["layers\\.[12]\\..*=32"],
    });
    const facts = (path: string) => {
      const module = moduleOf(path);
      return [rankOf(config, module), scaleOf(config, module)];
    };
    expect(facts("0.self_attn.q_proj")).toEqual([16, 8 / 16]);
    expect(facts("1.self_attn.q_proj")).toEqual([2, 32 / 2]);
    expect(facts("2.self_attn.v_proj")).toEqual([4, 32 / 4]);
    expect(facts("0.self_attn.v_proj")).toEqual([4, 8 / 4]);
    const shapes = Object.fromEntries(
      loraVariables(config, tiny.modules).map(({ name, shape }) => [name, shape]),
    );
    expect(shapes["model.layers.1.self_attn.q_proj.lora_a"]).toEqual([2, 64]);
    expect(shapes["model.layers.2.self_attn.q_proj.lora_b"]).toEqual([64, 16]);
  });

  // Kalajdzievski 2023 (arXiv:2312.03732): γ = α / √r.
  test("scale by the root of the rank for rank-stabilized LoRA", () => {
    const config = configOf({ alpha: 8, rslora: true, rankPattern: ["q_proj=16"] });
    expect(scaleOf(config, moduleOf("0.self_attn.v_proj"))).toBe(8 / 2);
    expect(scaleOf(config, moduleOf("0.self_attn.q_proj"))).toBe(8 / 4);
  });

  test.each<[Partial<LoraSettings>, string]>([
    [{ layers: "0-3" }, "--layers 0-3: the model has layers 0 to 2, no 3."],
    [{ layers: "2-1" }, 'Invalid --layers "2-1"'],
    [{ layers: "" }, 'Invalid --layers ""'],
    [{ layers: "0,one" }, "give numbers and ranges, for example 0-3,8."],
    [{ rankPattern: ["q_proj"] }, 'Invalid --rank-pattern "q_proj"'],
    [{ rankPattern: ["q_proj=0"] }, "give a pattern and a number, for example q_proj=8."],
    [{ alphaPattern: ["=3"] }, 'Invalid --alpha-pattern "=3"'],
    [{ rankPattern: ["(=3"] }, "is not a regular expression"],
    [{ rankPattern: ["k_proj=3"] }, '"k_proj" matches none of the layers that get an adapter'],
    [{ layers: "0", alphaPattern: ["layers.1.*=3"] }, "one is model.layers.0.self_attn.q_proj."],
  ])("%j are refused", (settings, message) => {
    expect(() => configOf(settings)).toThrow(message);
    expect(() => configOf(settings)).toThrow(FacetError);
  });

  test("with a rank that is too large for its layer are refused with that layer", () => {
    const config = configOf({ rankPattern: ["layers.1.*v_proj=17"] });
    expect(() => createAdapter(config, tiny.modules, 0)).toThrow(
      "LoRA rank must be a whole number from 1 to 16 (the smaller side of model.layers.1.self_attn.v_proj",
    );
    const half = configOf({ rankPattern: ["v_proj=2.5"] });
    expect(() => createAdapter(half, tiny.modules, 0)).toThrow("must be a whole number");
  });
});

describe("an adapter of several ranks", () => {
  const settings = {
    ...basic,
    alpha: 6,
    rslora: true,
    rankPattern: ["layers.1.self_attn.q_proj=2", "v_proj=3"],
  };
  const adapter = createAdapter(loraConfigOf(settings, tiny.modules), tiny.modules, 1);
  adapter.parameters.values.forEach((_, i, values) => {
    values[i] = Math.sin(i);
  });
  const matrices = matricesOf(adapter);

  test("is written with PEFT's patterns, and read back with the same updates", async () => {
    const folder = `${temporaryFolder()}/adapter`;
    await writePeft(folder, { matrices, baseModel: "base" }, tiny.modules, { ownRanks: true });
    const { config } = readPeftAdapter(folder);
    expect({ rank: config.rank, alpha: config.alpha }).toEqual({ rank: 4, alpha: 4 });
    const patterns = { v_proj: 3, "model.layers.1.self_attn.q_proj": 2 };
    expect(Object.fromEntries(config.rankPattern)).toEqual(patterns);
    expect(Object.fromEntries(config.alphaPattern)).toEqual(patterns);
    const read = readPeft(folder, tiny.modules).matrices;
    for (const [path, { a, b, rank, scale }] of matrices) {
      const theirs = read.get(path)!;
      expect(theirs.rank).toBe(rank);
      expect(theirs.a).toEqual(a);
      expect(
        relativeError(
          theirs.b,
          b.map((value) => value * scale),
        ),
      ).toBeLessThan(1e-7);
    }
  });

  test("comes back from its matrices", () => {
    const back = fromPeft(matrices, adapter.config, tiny.modules, "here");
    expect(relativeError(back.parameters.values, adapter.parameters.values)).toBeLessThan(1e-7);
  });
});
