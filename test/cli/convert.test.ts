import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fixture } from "../support/modelFolder.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const facet = (...args: string[]) => runFacet(args, folder);
const completion = async (model: string) => {
  const prompt = ["--prompt", "The sea", "--max-length", "12", "--json"];
  return JSON.parse((await facet("generate", "--model", model, ...prompt)).stdout).completion;
};

describe("facet convert", () => {
  test.each([
    ["gguf", "tiny.gguf"],
    ["keras", "tiny-keras"],
    ["hf", "tiny-hf"],
  ])("--to %s writes a model that answers as before", async (to, out) => {
    const { code, stderr, stdout } = await facet(
      ...["convert", "--model", "tiny", "--to", to, "--out", out],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/Written +.*, f32\n.*Read back +logits at \d+ positions differ by /s);
    expect(await completion(out)).toBe(await completion("tiny"));
  });

  test("--no-verify says what it skipped", async () => {
    const { stderr } = await facet(
      ...["convert", "--model", "tiny", "--to", "hf", "--out", "quick", "--no-verify"],
    );
    expect(stderr).toContain("Not verified");
  });

  test("of a quantised model it says so, for people and in --json", async () => {
    const convert = (...args: string[]) => facet("convert", "--no-verify", ...args);
    await convert("--model", "tiny", "--to", "gguf", "--out", "q8.gguf", "--outtype", "q8_0");
    const { stderr, stdout } = await convert(
      ...["--model", "q8.gguf", "--to", "hf", "--out", "less", "--json"],
    );
    expect(stderr).toContain("The weights of q8 are quantised (Q8_0)");
    expect(JSON.parse(stdout).warnings).toEqual([expect.stringContaining("quantised (Q8_0)")]);
  });
});

describe("facet import", () => {
  test("makes a PEFT folder of a Keras file", async () => {
    cpSync(fixture("keras_gemma1_tiny/adapter.lora.h5"), join(folder, "mine.lora.h5"));
    const { code, stdout } = await facet(
      ...["import", "--adapter", "mine.lora.h5", "--model", "tiny", "--out", "mine", "--json"],
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: "f32", proof: { holds: true } });
    const config = JSON.parse(readFileSync(join(folder, "mine", "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ r: 16, lora_alpha: 16, target_modules: ["q_proj", "v_proj"] });
  });

  test("needs the base model of a file that names none", async () => {
    const { code, stderr } = await facet("import", "--adapter", "mine.lora.h5", "--out", "again");
    expect(code).toBe(1);
    expect(stderr).toContain("does not say which model it belongs to. Give --model.");
    expect(existsSync(join(folder, "again"))).toBe(false);
  });
});
