import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { namedTemplate } from "../../src/data/templates.js";
import { ollamaModel, writeOllama } from "../../src/recipes/ollama.js";
import { temporaryFolder } from "../formats/temporaryFolder.js";

const at = temporaryFolder();
const model = (path: string) => writeFileSync(path, "GGUF");

describe("writeOllama", () => {
  test("writes the model and a Modelfile with the template of training", async () => {
    await writeOllama(at("my run"), namedTemplate("tutorial"), model);
    expect(readFileSync(at("my run", "Modelfile"), "utf8")).toBe(`FROM ./my-run.gguf
TEMPLATE """Instruction:
{{ .Prompt }}

Response:
{{ .Response }}"""
`);
    expect(readFileSync(ollamaModel(at("my run")), "utf8")).toBe("GGUF");
    expect(readdirSync(at("my run")).sort()).toEqual(["Modelfile", "my-run.gguf"]);
  });

  test("gives the stop words of a chat template, and no start token, which Ollama adds", async () => {
    await writeOllama(at("chat"), namedTemplate("gemma-chat"), model);
    const text = readFileSync(at("chat", "Modelfile"), "utf8");
    expect(text).toMatch(/^FROM \.\/chat\.gguf\nTEMPLATE """<start_of_turn>user\n/);
    expect(text).toMatch(/PARAMETER stop "<end_of_turn>"\n$/);
    expect(text).not.toContain("<bos>");
  });

  test("refuses a template with two fields, and writes nothing", async () => {
    const template = namedTemplate("{a} {b} {response}");
    await expect(writeOllama(at("out"), template, model)).rejects.toThrow(
      /Ollama has only one prompt/,
    );
    expect(existsSync(at("out"))).toBe(false);
  });
});
