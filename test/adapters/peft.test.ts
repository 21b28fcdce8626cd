import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { adapterFolder, readPeft, writePeft } from "../../src/adapters/peft.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { gemmaModules } from "../../src/models/gemma/weights.js";
import { temporaryFolder } from "../formats/temporaryFolder.js";
import { fixture } from "../support/modelFolder.js";
import { referenceGemma } from "../support/referenceGemma.js";
import * as tiny from "../support/tinyGemma.js";

const at = temporaryFolder();
const QV = fixture("gemma1_tiny/peft_qv");

/** A copy of PEFT's q+v adapter with some settings changed. */
function copyWithConfig(changes: Record<string, unknown>): string {
  cpSync(QV, at("adapter"), { recursive: true });
  const config = JSON.parse(readFileSync(`${QV}/adapter_config.json`, "utf8"));
  writeFileSync(at("adapter", "adapter_config.json"), JSON.stringify({ ...config, ...changes }));
  return at("adapter");
}

const configOf = (folder: string) =>
  JSON.parse(readFileSync(`${folder}/adapter_config.json`, "utf8"));

describe("reading a PEFT folder", () => {
  test.each(["gemma1_tiny", "gemma2_tiny", "gemma3_tiny"])(
    "binds what PEFT saved to the modules of %s",
    (name) => {
      const { modules } = referenceGemma(name);
      const all = readPeft(fixture(`${name}/peft_all`), modules);
      expect([...all.matrices.keys()].sort()).toEqual(modules.map(({ path }) => path).sort());
      expect(all.baseModel).toBe(name);
      const { matrices } = readPeft(fixture(`${name}/peft_qv`), modules);
      expect(matrices).toEqual(readPeftAdapter(fixture(`${name}/peft_qv`)).matrices);
    },
  );

  test("gives the names of a multimodal base", () => {
    const modules = gemmaModules({ ...tiny.config, textPath: "model.language_model" });
    const { matrices } = readPeft(QV, modules);
    expect([...matrices.keys()]).toContain("model.language_model.layers.2.self_attn.q_proj");
  });

  test.each([
    [{ target_modules: ["q_proj", "v_proj", "o_proj"] }, /layers\.0\.self_attn\.o_proj and 2 more/],
    [
      { target_modules: ["q_proj", "v_proj", "model.layers.1.mlp.up_proj"] },
      /for model\.layers\.1\.mlp\.up_proj, though target_modules/,
    ],
  ])("refuses one that lacks targeted modules: %j", (changes, message) => {
    const folder = copyWithConfig(changes);
    expect(() => readPeft(folder, tiny.modules)).toThrow(message);
    expect(readPeft(folder).matrices.size).toBe(6);
  });

  test.each([
    { target_modules: "all-linear" },
    { target_modules: ["q_proj", "v_proj", "o_proj"], exclude_modules: ["o_proj"] },
    { target_modules: ["q_proj", "v_proj"], layers_to_transform: [0, 1, 2] },
  ])("takes a choice that is not, or not only, in a list of names: %j", (changes) => {
    expect(readPeft(copyWithConfig(changes), tiny.modules).matrices.size).toBe(6);
  });
});

describe("the folder of an adapter", () => {
  const put = (...names: string[]) => cpSync(QV, at(...names), { recursive: true });

  test("is the one with the configuration, that of a run, or the only one inside", () => {
    expect(adapterFolder(QV)).toBe(QV);
    expect(adapterFolder(at("nothing"))).toBeUndefined();
    mkdirSync(at("empty"));
    expect(adapterFolder(at("empty"))).toBeUndefined();
    put("saved", "french");
    expect(adapterFolder(at("saved"))).toBe(at("saved", "french"));
    put("run", "other");
    put("run", "adapter");
    expect(adapterFolder(at("run"))).toBe(at("run", "adapter"));
  });

  test("is not guessed among several", () => {
    put("saved", "french");
    put("saved", "german");
    expect(() => adapterFolder(at("saved"))).toThrow(
      /holds several adapters: french, german\. Name one/,
    );
  });
});

describe("writing a PEFT folder", () => {
  const { matrices } = readPeft(QV, tiny.modules);
  const only = (test: RegExp) => ({
    matrices: new Map([...matrices].filter(([path]) => test.test(path))),
    baseModel: "base",
  });

  test("names the layers' short names where all are adapted", async () => {
    await writePeft(at("out"), only(/./), tiny.modules);
    expect(configOf(at("out"))).toMatchObject({
      ...{ target_modules: ["q_proj", "v_proj"], layers_to_transform: null },
      ...{ r: 4, lora_alpha: 4, base_model_name_or_path: "base" },
    });
  });

  test("names the blocks where not all are, or nobody knows how many there are", async () => {
    await writePeft(at("out"), only(/layers\.[12]/), tiny.modules);
    expect(configOf(at("out")).layers_to_transform).toEqual([1, 2]);
    await writePeft(at("out"), only(/./));
    expect(configOf(at("out")).layers_to_transform).toEqual([0, 1, 2]);
  });

  test("names every module where blocks differ", async () => {
    await writePeft(at("out"), only(/0.*q_proj|1.*v_proj/), tiny.modules);
    expect(configOf(at("out"))).toMatchObject({
      target_modules: ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj"],
      layers_to_transform: null,
    });
  });

  test.each([/./, /layers\.[12]/, /0.*q_proj|1.*v_proj/])(
    "gives a folder that is complete: %s",
    async (which) => {
      await writePeft(at("out"), only(which), tiny.modules);
      expect([...readPeft(at("out"), tiny.modules).matrices.keys()].sort()).toEqual(
        [...only(which).matrices.keys()].sort(),
      );
    },
  );
});
