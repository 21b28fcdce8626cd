import { describe, expect, it } from "vitest";
import { PHRASES, type RewriteName, rewriteNames, rewrites } from "../../src/augment/rewrites.js";
import { slotsOf } from "../../src/augment/slots.js";
import { jsonLineRow } from "../../src/data/jsonLines.js";
import type { Row } from "../../src/data/rows.js";
import { createRandom } from "../../src/random.js";

const rowFrom = (value: object) => jsonLineRow(JSON.stringify(value), "rows.jsonl", 1);
const dolly = (instruction: string, context = "") =>
  rowFrom({ instruction, context, response: "R" });
function rewritten(name: RewriteName, row: Row, index = 0, passages: string[] = []) {
  const random = createRandom({ seed: 1, stream: "augment", index });
  return rewrites[name](row, { slots: slotsOf([row]), random, phrases: PHRASES, passages });
}
const many = (name: RewriteName, row: Row, passages: string[] = []) =>
  Array.from({ length: 60 }, (_, i) => rewritten(name, row, i, passages));

describe("rewrites", () => {
  it("change the instruction only, and the same each time", () => {
    const row = dolly("Why is the sky blue, in short?", "A passage.");
    for (const name of rewriteNames) {
      const made = many(name, row, ["Another passage."]);
      expect(made).toEqual(many(name, row, ["Another passage."]));
      for (const other of made) {
        if (other === undefined) continue;
        expect(other.fields.response).toBe("R");
        const changed = name === "mix-contexts" ? "context" : "instruction";
        const same = changed === "context" ? "instruction" : "context";
        expect(other.fields[same]).toBe(row.fields[same]);
        expect(other.fields[changed]).not.toBe(row.fields[changed]);
      }
    }
  });

  it("paraphrase puts the instruction into sentences", () => {
    const made = new Set(
      many("paraphrase", dolly("Cost: $& each? ")).map((row) => row!.fields.instruction),
    );
    expect(made.size).toBe(PHRASES.length);
    for (const text of made) expect(text).toContain("Cost: $& each?");
  });

  it("noise keeps the words", () => {
    const made = new Set(
      many("noise", dolly("It's late, isn't it?")).map((row) => row!.fields.instruction),
    );
    expect(made.size).toBeGreaterThan(5);
    const letters = (text = "") => text.toLowerCase().replace(/[^a-z]/g, "");
    for (const text of made) expect(letters(text)).toBe("itslateisntit");
  });

  it.each([
    ["Please tell me what a fjord is.", "What a fjord is."],
    ["Hello, can you please list three fruits, please?", "List three fruits?"],
    ["I'd like you to name a river, thanks.", "Name a river."],
    ["Given the following text about Oslo, who founded it?", "Who founded it?"],
  ])("back-off makes %j %j", (text, bare) => {
    expect(rewritten("back-off", dolly(text))!.fields.instruction).toBe(bare);
  });

  it.each(["What is a fjord?", "Please", "Tell me a story."])(
    "back-off leaves %j alone",
    (text) => {
      expect(rewritten("back-off", dolly(text))).toBeUndefined();
    },
  );

  it("mix-contexts puts another passage before or after a row's own", () => {
    const row = dolly("Who?", "Own.");
    const made = many("mix-contexts", row, ["Own.", "Other."]);
    expect(new Set(made.map((one) => one?.fields.context))).toEqual(
      new Set([undefined, "Own.\n\nOther.", "Other.\n\nOwn."]),
    );
    expect(rewritten("mix-contexts", dolly("Who?"), 0, ["Other."])).toBeUndefined();
  });

  it("rewrite the first turn of the user in a conversation", () => {
    const turns = (first: string) => [
      { role: "system", content: "Please be brief." },
      { role: "user", content: first },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "Please go on." },
    ];
    const row = rowFrom({ messages: turns("Please greet me.") });
    expect(rewritten("back-off", row)!.nonText.messages).toEqual(turns("Greet me."));
    const shared = rowFrom({
      conversations: [
        { from: "human", value: "Hi there, sing!" },
        { from: "gpt", value: "La" },
      ],
    });
    expect(rewritten("back-off", shared)!.nonText.conversations).toEqual([
      { from: "human", value: "Sing!" },
      { from: "gpt", value: "La" },
    ]);
  });

  it("are not for plain text", () => {
    expect(() => slotsOf([rowFrom({ text: "t" })])).toThrow(/plain text have no instruction/);
  });
});
