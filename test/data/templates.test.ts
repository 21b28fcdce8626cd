import { describe, expect, it } from "vitest";
import { chooseTemplate, parseTemplate, promptOf, render } from "../../src/data/templates.js";
import type { Segment } from "../../src/tokenizers/segments.js";
import { rowOf } from "./rowOf.js";

const dolly = { instruction: "Why?", response: "Because.", context: "", category: "open_qa" };

/** Segments as a person reads them, control pieces by name. */
const segmentsText = (segments: readonly Segment[]) =>
  segments.map((segment) => ("text" in segment ? segment.text : segment.piece)).join("");

describe("built-in templates", () => {
  it("tutorial is the Keras tutorial's text, and the default for Dolly's fields", () => {
    const template = chooseTemplate(undefined, [rowOf(dolly)]);
    expect(template.name).toBe("tutorial");
    expect(segmentsText(render(template, dolly, "all"))).toBe(
      "Instruction:\nWhy?\n\nResponse:\nBecause.",
    );
    expect(segmentsText(promptOf(template, dolly))).toBe("Instruction:\nWhy?\n\nResponse:\n");
  });

  it("gemma-chat renders Gemma's turns with markers as pieces and the text trimmed", () => {
    const template = chooseTemplate("gemma-chat", [rowOf(dolly)]);
    expect(
      render(template, { instruction: " Why?\n", response: "Because. " }, "completion"),
    ).toEqual([
      { piece: "<start_of_turn>", target: false },
      { text: "user\n", target: false },
      { text: "Why?", target: false },
      { piece: "<end_of_turn>", target: false },
      { text: "\n", target: false },
      { piece: "<start_of_turn>", target: false },
      { text: "model\n", target: false },
      { text: "Because.", target: true },
      { piece: "<end_of_turn>", target: true },
      { text: "\n", target: true },
    ]);
  });

  it("plain adds nothing, and is the default for the other formats", () => {
    const text = chooseTemplate(undefined, [rowOf({ text: "T" })]);
    expect(segmentsText(render(text, { text: "T" }, "all"))).toBe("T");
    expect(promptOf(text, { text: "T" })).toEqual([]);
    const pair = { prompt: "P ", completion: "C" };
    expect(render(chooseTemplate(undefined, [rowOf(pair)]), pair, "completion")).toEqual([
      { text: "P ", target: false },
      { text: "C", target: true },
    ]);
  });

  it("tutorial and gemma-chat also take prompt and completion", () => {
    const pair = { prompt: "P", completion: "C" };
    const template = chooseTemplate("tutorial", [rowOf(pair)]);
    expect(segmentsText(render(template, pair, "all"))).toBe("Instruction:\nP\n\nResponse:\nC");
  });

  it("refuses an unknown name, and one that does not fit the rows", () => {
    expect(() => chooseTemplate("tutorail", [rowOf(dolly)])).toThrow(/Did you mean "tutorial"/);
    expect(() => chooseTemplate("tutorial", [rowOf({ text: "T" })])).toThrow(
      /"tutorial" has no form for text rows. Use "plain"/,
    );
  });

  it("refuses rows of an unknown format, naming their fields", () => {
    expect(() => chooseTemplate(undefined, [rowOf({ question: "q", answer: "a" })])).toThrow(
      /unknown format.*question, answer.*--columns prompt=question/s,
    );
  });
});

describe("custom templates", () => {
  const fields = { q: "Q", a: "A" };

  it("completes from the last placeholder on", () => {
    expect(render(parseTemplate("{q}? {a}!"), fields, "completion")).toEqual([
      { text: "Q", target: false },
      { text: "? ", target: false },
      { text: "A", target: true },
      { text: "!", target: true },
    ]);
  });

  it("all text is a target with all targets", () => {
    expect(render(parseTemplate("{q}? {a}"), fields, "all").every((s) => s.target)).toBe(true);
  });

  it("doubled braces are literal, also around a placeholder", () => {
    expect(segmentsText(render(parseTemplate("{{x}} {{{q}}} a<b"), fields, "all"))).toBe(
      "{x} {Q} a<b",
    );
  });

  it("does not read braces or markers in field values", () => {
    const segments = render(parseTemplate("{a}"), { a: "{q}<start_of_turn>" }, "all");
    expect(segments).toEqual([{ text: "{q}<start_of_turn>", target: true }]);
  });

  it("takes a written turn marker for its piece", () => {
    expect(promptOf(parseTemplate("<start_of_turn>x{a}"), {})).toEqual([
      { piece: "<start_of_turn>", target: false },
      { text: "x", target: false },
    ]);
  });

  it("has parts for rows with a field, and for rows without it", () => {
    const template = parseTemplate("{?c}{c}: {/c}{!c}- {/c}{a}");
    expect(template.fields).toEqual(["c", "a"]);
    expect(segmentsText(render(template, { a: "A", c: "C" }, "all"))).toBe("C: A");
    expect(segmentsText(render(template, { a: "A", c: " " }, "all"))).toBe("- A");
    expect(segmentsText(render(template, { a: "A" }, "all"))).toBe("- A");
  });

  it.each([
    ["{?a}x", /a part of \{a\} that \{\/a\} does not end at character 1/],
    ["x{/a}", /\{\/a\} without \{\?a\} before it at character 2/],
    ["{?a}{?b}x{/b}{/a}", /\{\?b\} inside of \{\?a\}/],
    ["{?}x", /an empty placeholder \{\?\}/],
    ["{?a}{a}{/a}", /no \{field\} placeholder/],
    ["a {q", /single "\{" at character 3/],
    ["a} {q}", /single "\}" at character 2/],
    ["a {}", /empty placeholder \{\} at character 3/],
    ["{{no}}", /no \{field\} placeholder/],
    ["<bos>{q}", /writes <bos>/],
    ["{q}<eos>", /writes <eos>/],
  ])("refuses %j", (source, message) => {
    expect(() => parseTemplate(source)).toThrow(message);
  });

  it("refuses a field that no row has, naming those that exist", () => {
    expect(() => chooseTemplate("{q}{answer}", [rowOf({ q: "1", answers: "2" })])).toThrow(
      /Unknown field in the template "answer". Did you mean "answers"\? Known: q, answers/,
    );
  });

  it("refuses to render without a field it needs", () => {
    expect(() => render(parseTemplate("{q}{toString}"), { q: "Q" }, "all")).toThrow(
      /needs the field "toString"; given: q/,
    );
  });
});
