import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConvertOptions, convertModel } from "../../src/recipes/convertModel.js";
import { engine } from "../support/referenceGemma.js";
import { openTensors } from "../support/safetensorsFile.js";
import { tinyFamilies, tinyFamilyFolder } from "../support/tinyFamilies.js";

const place = mkdtempSync(join(tmpdir(), "facet-convert-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const at = (...names: string[]) => join(place, ...names);

const layouts = ["hf", "keras", "gguf"] as const;
const nameOf = (family: string, to: string) => `${family}-${to}${to === "gguf" ? ".gguf" : ""}`;

const convert = (options: Partial<ConvertOptions> & Pick<ConvertOptions, "to">) =>
  convertModel({ model: at("gemma1_tiny"), out: at("out"), verify: true, ...options }, engine);

beforeAll(() => {
  process.env.FACET_HOME = at("home");
  for (const family of tinyFamilies) tinyFamilyFolder(family, at(family));
});

describe.each(tinyFamilies)("%s", (family) => {
  test.each(layouts)("becomes %s and is proved", async (to) => {
    const model = at(family);
    const { proof, type } = await convert({ model, to, out: at(nameOf(family, to)) });
    expect({ type, ...proof }).toMatchObject({ type: "f32", holds: true });
  });

  test.each(layouts)("comes back from %s with every bit of its weights", async (to) => {
    const back = at(`${family}-back-from-${to}`);
    const { proof } = await convert({ model: at(nameOf(family, to)), to: "hf", out: back });
    expect(proof).toMatchObject({ largestDifference: 0, holds: true });
    const [was, is] = [at(family), back].map((folder) =>
      openTensors(join(folder, "model.safetensors")),
    );
    expect([...is!.tensors.keys()].sort()).toEqual([...was!.tensors.keys()].sort());
    for (const name of was!.tensors.keys()) {
      expect(is!.tensor(name).data).toEqual(was!.tensor(name).data);
    }
  });
});

test("goes from a Keras preset to GGUF and the other way round", async () => {
  const keras = at("gemma2_tiny-keras");
  expect(await convert({ model: keras, to: "gguf", out: at("k.gguf") })).toMatchObject({
    proof: { holds: true },
  });
  expect(await convert({ model: at("k.gguf"), to: "keras", out: at("g-keras") })).toMatchObject({
    proof: { holds: true },
  });
  expect(readdirSync(at("g-keras")).sort()).toEqual(readdirSync(keras).sort());
});

test.each([
  ["hf", "bf16"],
  ["hf", "f16"],
  ["keras", "bf16"],
  ["gguf", "f16"],
  ["gguf", "bf16"],
  ["gguf", "q8_0"],
  ["gguf", "q4_0"],
] as const)("--to %s as %s is within what rounding may cause", async (to, outtype) => {
  const out = at(nameOf(`typed-${outtype}`, to));
  const { proof, type } = await convert({ to, outtype, out });
  expect(type).toBe(outtype);
  expect(proof!.holds).toBe(true);
  // The fixture's weights were rounded to bfloat16 when they were made.
  expect(proof!.relativeError > 0).toBe(outtype !== "bf16");
});

describe("what cannot be done is said before anything is written", () => {
  test.each<[Partial<ConvertOptions> & Pick<ConvertOptions, "to">, RegExp]>([
    [
      { to: "keras", outtype: "q8_0" },
      /--to keras cannot be written as q8_0; it takes f32, f16, bf16/,
    ],
    [{ to: "gguf" }, /the name of a GGUF file ends in \.gguf/],
    [{ to: "hf", out: "." }, /exists already/],
    [{ to: "hf", model: "gemma_2b_em" }, /gemma_2b_en/],
  ])("%j", async (options, message) => {
    await expect(convert(options)).rejects.toThrow(message);
    expect(existsSync(at("out"))).toBe(false);
  });
});

test("a folder has everything that other tools look for", () => {
  const made = at("gemma2_tiny-back-from-gguf");
  expect(readdirSync(made)).toEqual(
    expect.arrayContaining([
      ...["config.json", "generation_config.json", "model.safetensors"],
      ...["tokenizer.json", "tokenizer.model", "tokenizer_config.json"],
    ]),
  );
  const generation = JSON.parse(readFileSync(join(made, "generation_config.json"), "utf8"));
  expect(generation).toMatchObject({ bos_token_id: 2, eos_token_id: 1, pad_token_id: 0 });
});
