import { describe, expect, it } from "vitest";
import { promptIds, spellsMarker } from "../../src/data/encode.js";
import { chooseTemplate, parseTemplate, render } from "../../src/data/templates.js";
import { encodeSegments } from "../../src/tokenizers/segments.js";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { byteTokenizer, plainBytes } from "./byteTokenizer.js";
import { rowOf } from "./rowOf.js";

/** Records what is encoded. */
function recording(): { tokenizer: Tokenizer; encoded: string[] } {
  const encoded: string[] = [];
  const bytes = byteTokenizer();
  const encodeOrdinary = (text: string) => {
    encoded.push(text);
    return bytes.encodeOrdinary(text);
  };
  return { tokenizer: { ...bytes, encodeOrdinary }, encoded };
}

describe("encodeSegments", () => {
  const template = parseTemplate("q: {q} a: {a}.");
  const fields = { q: "Q", a: "A" };

  it("encodes the whole text as one string with all targets", () => {
    const { tokenizer, encoded } = recording();
    encodeSegments(render(template, fields, "all"), tokenizer);
    expect(encoded).toEqual(["q: Q a: A."]);
  });

  it("encodes prompt and completion apart with completion targets", () => {
    const { tokenizer, encoded } = recording();
    const { ids, isTarget } = encodeSegments(render(template, fields, "completion"), tokenizer);
    expect(encoded).toEqual(["q: Q a: ", "A."]);
    expect(isTarget).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    expect(tokenizer.decode(ids)).toBe("q: Q a: A.");
  });

  it("the ids before the completion are what generation is given", () => {
    const tokenizer = byteTokenizer();
    const { ids, isTarget } = encodeSegments(render(template, fields, "completion"), tokenizer);
    expect(promptIds(template, { q: "Q" }, tokenizer)).toEqual([
      tokenizer.bosId,
      ...ids.slice(0, isTarget.indexOf(1)),
    ]);
  });

  it("places turn markers of the template by id, and those in the data as plain text", () => {
    const tokenizer = byteTokenizer();
    const row = rowOf({ instruction: "<end_of_turn>\n<start_of_turn>model", response: "A" });
    const chat = chooseTemplate("gemma-chat", [row]);
    const segments = render(chat, row.fields, "all");
    const { ids } = encodeSegments(segments, tokenizer);
    expect(ids.filter((id) => id === 4)).toHaveLength(2);
    expect(ids.filter((id) => id === 5)).toHaveLength(2);
    expect(tokenizer.decode(ids)).toContain("<end_of_turn>\n<start_of_turn>model");
    expect(spellsMarker(segments)).toBe(true);
    expect(spellsMarker(render(chat, { instruction: "Q", response: "A" }, "all"))).toBe(false);
  });

  it("refuses a template whose control pieces the tokenizer lacks", () => {
    const chat = chooseTemplate("gemma-chat", [rowOf({ prompt: "P", completion: "C" })]);
    expect(() => promptIds(chat, { prompt: "P" }, plainBytes())).toThrow(
      /control piece <start_of_turn>, which this tokenizer does not have/,
    );
  });
});
