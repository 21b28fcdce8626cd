import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readGgufAdapter } from "../../src/adapters/gguf.js";
import { namedTemplate } from "../../src/data/templates.js";
import { writeGguf } from "../../src/formats/gguf/writeGguf.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { exportOllama, type OllamaExport } from "../../src/recipes/exportOllama.js";
import { temporaryFolder } from "../formats/temporaryFolder.js";
import { fixture } from "../support/modelFolder.js";

const at = temporaryFolder();
const { matrices } = readPeftAdapter(fixture("gemma1_tiny/peft_qv"));
const adapter = {
  file: { matrices, baseModel: "google/gemma-2b" },
  family: "gemma",
  type: "F32",
} as const;
const tutorial = namedTemplate("tutorial");

describe("exportOllama", () => {
  test("writes the adapter and a Modelfile, for a model that Ollama has", async () => {
    const model = { from: "gemma:2b-text" };
    const options: OllamaExport = { name: "my run", model, adapter, template: tutorial };
    expect(await exportOllama(at("out"), options)).toBe(at("out", "Modelfile"));
    expect(readFileSync(at("out", "Modelfile"), "utf8")).toBe(`FROM gemma:2b-text
ADAPTER ./my-run-F32-LoRA.gguf
TEMPLATE """Instruction:
{{ .Prompt }}

Response:
{{ .Response }}"""
`);
    expect(readdirSync(at("out")).sort()).toEqual(["Modelfile", "my-run-F32-LoRA.gguf"]);
    const read = readGgufAdapter(at("out", "my-run-F32-LoRA.gguf"));
    expect(read).toEqual({ matrices, baseModel: "google/gemma-2b", family: "gemma" });
  });

  test("writes the model beside it, with stop words of the template", async () => {
    const model = { write: (path: string) => writeGguf(path, new Map(), []) };
    const template = namedTemplate("gemma-chat");
    await exportOllama(at("out"), { name: "org/merged", model, template });
    expect(readdirSync(at("out")).sort()).toEqual(["Modelfile", "org-merged.gguf"]);
    const text = readFileSync(at("out", "Modelfile"), "utf8");
    expect(text).toMatch(/^FROM \.\/org-merged\.gguf\nTEMPLATE """<start_of_turn>user\n/);
    expect(text).toMatch(/PARAMETER stop "<end_of_turn>"\n$/);
    expect(text).not.toContain("<bos>");
  });

  test("names a file that is there by its whole path", async () => {
    writeFileSync(at("base.gguf"), "");
    const model = { from: at("base.gguf") };
    await exportOllama(at("out"), { name: "x", model, adapter, template: tutorial });
    expect(readFileSync(at("out", "Modelfile"), "utf8")).toContain(`FROM ${at("base.gguf")}\n`);
  });

  test("replaces an earlier export, and no other folder", async () => {
    const options: OllamaExport = { name: "x", model: { from: "a" }, adapter, template: tutorial };
    await exportOllama(at("out"), options);
    await exportOllama(at("out"), { ...options, name: "y" });
    expect(readdirSync(at("out")).sort()).toEqual(["Modelfile", "y-F32-LoRA.gguf"]);
    mkdirSync(at("models"));
    writeFileSync(at("models", "mine.gguf"), "");
    await expect(exportOllama(at("models"), options)).rejects.toThrow(/mine\.gguf.*new folder/);
    expect(readdirSync(at("models"))).toEqual(["mine.gguf"]);
  });

  test.each<[string, Partial<OllamaExport>, RegExp]>([
    [
      "a template with two fields",
      { template: namedTemplate("{a} {b} {response}") },
      /Ollama has only one prompt/,
    ],
    ["a file that is not there", { model: { from: "./none.gguf" } }, /no file .*none\.gguf/],
    [
      "a DoRA adapter",
      {
        adapter: {
          ...adapter,
          file: {
            ...adapter.file,
            matrices: new Map(
              [...matrices].map(([module, lora]) => [
                module,
                { ...lora, magnitude: new Float32Array(lora.outFeatures) },
              ]),
            ),
          },
        },
      },
      /DoRA/,
    ],
  ])("refuses %s, and writes nothing", async (_, changes, message) => {
    const options: OllamaExport = { name: "x", model: { from: "a" }, adapter, template: tutorial };
    await expect(exportOllama(at("out"), { ...options, ...changes })).rejects.toThrow(message);
    expect(existsSync(at("out"))).toBe(false);
  });
});
