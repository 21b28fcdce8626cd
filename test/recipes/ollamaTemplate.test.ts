import { describe, expect, test } from "vitest";
import { namedTemplate, promptOf, render } from "../../src/data/templates.js";
import { ollamaTemplate } from "../../src/recipes/ollamaTemplate.js";
import type { Segment } from "../../src/tokenizers/segments.js";
import { executeGoTemplate } from "../support/ollamaReader.js";

const text = (segments: readonly Segment[]) =>
  segments.map((segment) => ("text" in segment ? segment.text : segment.piece)).join("");

describe("the template for Ollama", () => {
  test.each([
    ["tutorial", "prompt", "completion"],
    ["gemma-chat", "prompt", "completion"],
    ["plain", "prompt", "completion"],
    ["Q: {question}\nA: {answer}\n### End", "question", "answer"],
    ["{q} Again: {q}\n{{json}}: {{{a}", "q", "a"],
    ['"""{q}"""\u00A0<start_of_turn>{a}<end_of_turn>', "q", "a"],
  ])("of %j gives the text of training", (name, promptField, responseField) => {
    const template = namedTemplate(name);
    const fields = { [promptField]: "Why {{ so }}?", [responseField]: "Because." };
    const { template: source } = ollamaTemplate(template);
    expect(executeGoTemplate(source, { Prompt: "Why {{ so }}?", Response: "Because." })).toBe(
      text(render(template, fields, "all")),
    );
    // Ollama cuts the template at the response when it asks for one.
    const cut = source.slice(0, source.indexOf("{{ .Response }}"));
    expect(executeGoTemplate(cut, { Prompt: "Why {{ so }}?", Response: "" })).toBe(
      text(promptOf(template, fields)),
    );
  });

  test("of the tutorial", () => {
    expect(ollamaTemplate(namedTemplate("tutorial"))).toEqual({
      template: "Instruction:\n{{ .Prompt }}\n\nResponse:\n{{ .Response }}",
      stop: [],
    });
  });

  test("of Gemma's chat has the system's text in the first turn, and stops at markers", () => {
    const { template, stop } = ollamaTemplate(namedTemplate("gemma-chat"));
    expect(stop).toEqual(["<start_of_turn>", "<end_of_turn>"]);
    expect(executeGoTemplate(template, { System: "Be kind.", Prompt: "Hi", Response: "Ho" })).toBe(
      "<start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nHo<end_of_turn>\n",
    );
  });

  test("lets the prompt begin a text that has no other field", () => {
    expect(ollamaTemplate(namedTemplate("Story: {text}\n--\n"))).toEqual({
      template: "Story: {{ .Prompt }}{{ .Response }}\n--\n",
      stop: ["\n--\n"],
    });
  });

  test("does not stop at white space alone", () => {
    expect(ollamaTemplate(namedTemplate("{q}\n{a}\n")).stop).toEqual([]);
  });

  test("is refused with two fields before the response", () => {
    const template = namedTemplate("{instruction}\n{context}\n{response}");
    expect(() => ollamaTemplate(template)).toThrow(
      /no form in Ollama: it has the fields \{instruction\}, \{context\}, and Ollama has only one prompt\. Export/,
    );
  });

  test("is refused when the response is part of its own prompt", () => {
    expect(() => ollamaTemplate(namedTemplate("{a} {a}"))).toThrow(/\{a\}, is also part of/);
  });
});
