import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goTemplateText, modelfileText } from "../../src/formats/modelfile.js";
import { executeGoTemplate, readModelfile } from "../support/ollamaReader.js";

const plain = { from: "./model.gguf", template: "{{ .Prompt }}", stop: [] };
/** Text of the characters that matter to one of the two languages, among others. */
const awkward = fc
  .array(fc.constantFrom(...'{}"\\ \n\r\ta#.<é漢👍', "\u00A0", "\u2028", "\uFEFF", "\u0000"))
  .map((characters) => characters.join(""));

describe("a Modelfile", () => {
  test("names the model, the adapter, the template and the stop words", () => {
    const text = modelfileText({
      from: "gemma:2b",
      adapter: "./my adapter.gguf",
      template: "Q: {{ .Prompt }}\nA:",
      stop: ["<end_of_turn>", 'she said "no"\n'],
    });
    expect(text).toBe(`FROM gemma:2b
ADAPTER ./my adapter.gguf
TEMPLATE """Q: {{ .Prompt }}
A:"""
PARAMETER stop "<end_of_turn>"
PARAMETER stop """she said "no"
"""
`);
    expect(readModelfile(text).map(({ value }) => value)).toEqual([
      "gemma:2b",
      "./my adapter.gguf",
      "Q: {{ .Prompt }}\nA:",
      "<end_of_turn>",
      'she said "no"\n',
    ]);
  });

  test("gives back any literal text of a template, and any stop word that it takes", () => {
    fc.assert(
      fc.property(awkward, awkward, awkward, (before, after, word) => {
        const template = `${goTemplateText(before)}{{ .Prompt }}${goTemplateText(after)}`;
        const lost = /[\0\u00A0\u2028\uFEFF]|"""/.test(word);
        const stop = lost ? [] : [word];
        const read = readModelfile(modelfileText({ ...plain, template, stop }));
        expect(read.map(({ name }) => name)).toEqual([
          "FROM",
          "TEMPLATE",
          ...stop.map(() => "stop"),
        ]);
        expect(executeGoTemplate(read[1]!.value, { Prompt: "{{x}}", Response: "" })).toBe(
          `${before}{{x}}${after}`,
        );
        expect(read.slice(2).map(({ value }) => value)).toEqual(stop);
      }),
    );
  });

  test("writes half a surrogate pair as the tokenizer reads it", () => {
    expect(goTemplateText("a\uD800b")).toBe("a\uFFFDb");
  });

  test.each([
    [
      "a stop word with a character that Ollama drops",
      { stop: ["a\u00A0b"] },
      /stop word .*U\+00A0/,
    ],
    ["a stop word with three quotes", { stop: ['"""'] }, /three quotes/],
    ["a template that ends early", { template: '"""\nSYSTEM x' }, /template .*three quotes/],
    ["a model's name of two lines", { from: "a\nSYSTEM x" }, /cannot name/],
    ["no name", { from: "" }, /cannot name/],
    ["a quoted name", { adapter: '"./a.gguf"' }, /cannot name/],
    ["a name with a character that Ollama drops", { adapter: "./a\u200B.gguf" }, /U\+200B/],
  ])("refuses %s", (_, changes, message) => {
    expect(() => modelfileText({ ...plain, ...changes })).toThrow(message);
  });
});
