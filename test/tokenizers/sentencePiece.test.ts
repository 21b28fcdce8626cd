import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { loadSentencePiece, sentencePieceFromBytes } from "../../src/tokenizers/sentencePiece.js";
import { tokenizerOf } from "./fixtures.js";
import { mergeByDefinition } from "./mergeByDefinition.js";
import { BYTES, CONTROL, modelBytes, type Piece, Type } from "./model.js";

const build = (...args: Parameters<typeof modelBytes>) =>
  sentencePieceFromBytes(modelBytes(...args), "test.model");

const letters = (text: string): Piece[] => [...text].map((letter) => [letter, -100]);

describe("round trips", () => {
  // U+2581 is what a space becomes; text that holds it comes back with a space.
  const text = fc
    .string({ unit: "binary", maxLength: 60 })
    .map((s) => s.replaceAll("▁", ""))
    .filter((s) => !/\p{Surrogate}/u.test(s));

  it.each(["tok512", "tok4096"])("%s decodes what it encoded, in both ways", (folder) => {
    const tokenizer = tokenizerOf(folder);
    fc.assert(
      fc.property(text, (s) => {
        expect(tokenizer.decode(tokenizer.encode(s))).toBe(s);
        expect(tokenizer.decode(tokenizer.encodeOrdinary(s))).toBe(s);
      }),
    );
  });

  it("half a surrogate pair becomes U+FFFD", () => {
    const tokenizer = tokenizerOf("tok512");
    expect(tokenizer.encode("a\ud83d")).toEqual(tokenizer.encode("a\ufffd"));
    expect(tokenizer.encode("\ude00b")).toEqual(tokenizer.encode("\ufffdb"));
  });
});

describe("merging", () => {
  it("equals the definition on random vocabularies, with ties and pieces across spaces", () => {
    const unit = fc.constantFrom("a", "b", "c", "▁", "😀", "é");
    const piece = fc.string({ unit, minLength: 2, maxLength: 5 }).filter((p) => [...p].length > 1);
    const vocabulary = fc.uniqueArray(fc.tuple(piece, fc.integer({ min: -4, max: -1 })), {
      selector: ([p]) => p,
      maxLength: 25,
    });
    fc.assert(
      fc.property(vocabulary, fc.string({ unit, maxLength: 150 }), (pieces, text) => {
        const tokenizer = build([...CONTROL, ...letters("abc▁😀é"), ...pieces]);
        const expected = mergeByDefinition([...text], new Map(pieces));
        const spelled = tokenizer.encode(text.replaceAll("▁", " "));
        expect(spelled.map((id) => tokenizer.idToPiece(id))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("takes the leftmost of pairs with equal scores", () => {
    const tokenizer = build([...CONTROL, ...letters("a"), ["aa", -1]]);
    expect(tokenizer.encode("aaa").map((id) => tokenizer.idToPiece(id))).toEqual(["aa", "a"]);
  });

  it("reads a long text without a break in reasonable time, and the next one right", () => {
    const tokenizer = tokenizerOf("tok512");
    const before = tokenizer.encode("the rest");
    const ids = tokenizer.encode("st".repeat(100_000));
    expect(tokenizer.decode(ids)).toBe("st".repeat(100_000));
    expect(tokenizer.encode("the rest")).toEqual(before);
  });
});

describe("pieces that text may and may not produce", () => {
  it("a user-defined piece is matched first, the longest, and joins nothing", () => {
    const tokenizer = build([
      ...CONTROL,
      ...letters("bx"),
      ["xa", -1],
      ["a", 0, Type.USER_DEFINED],
      ["ab", 0, Type.USER_DEFINED],
    ]);
    expect(tokenizer.encode("xab").map((id) => tokenizer.idToPiece(id))).toEqual(["x", "ab"]);
    expect(tokenizer.encode("xa").map((id) => tokenizer.idToPiece(id))).toEqual(["x", "a"]);
  });

  it("text never becomes a control piece, not even one of a single letter", () => {
    const tokenizer = build([...CONTROL, ["Q", 0, Type.CONTROL], ...BYTES, ...letters("<bo>")], {
      byteFallback: true,
    });
    expect(tokenizer.encode("Q")).toEqual([tokenizer.pieceToId("<0x51>")]);
    expect(tokenizer.encode("<bos>")).not.toContain(tokenizer.bosId);
  });

  it("a run of characters without a piece is one unknown id when there is no byte fallback", () => {
    const tokenizer = build([...CONTROL, ...letters("ab▁")]);
    const [a, b] = [tokenizer.pieceToId("a"), tokenizer.pieceToId("b")];
    for (let again = 0; again < 2; again++) {
      expect(tokenizer.encode("aXYZb€😀")).toEqual([a, 3, b, 3]);
    }
    expect(tokenizer.decode([a!, 3, b!])).toBe("a ⁇ b");
  });

  it("encodeOrdinary reads markers as letters, and keeps newlines, spaces and HTML tags", () => {
    const tokenizer = tokenizerOf("tok4096");
    for (const marker of ["<start_of_turn>", "<end_of_turn>", "<mask>", "<unused7>", "[@BOS@]"]) {
      const text = `a${marker}b`;
      expect(tokenizer.encode(text)).toContain(tokenizer.pieceToId(marker));
      expect(tokenizer.encodeOrdinary(text)).not.toContain(tokenizer.pieceToId(marker));
      expect(tokenizer.decode(tokenizer.encodeOrdinary(text))).toBe(text);
    }
    const plain = "x\n\n\n  <b>bold</b>     y <h1>";
    expect(tokenizer.encodeOrdinary(plain)).toEqual(tokenizer.encode(plain));
  });
});

describe("the normalizer's rules for white space", () => {
  const pieces = [...CONTROL, ...letters("ab▁ ")];
  const shown = (rules: Parameters<typeof modelBytes>[2], text: string) => {
    const tokenizer = build(pieces, {}, rules);
    const ids = tokenizer.encode(text);
    return [ids.map((id) => tokenizer.idToPiece(id)).join(""), tokenizer.decode(ids)];
  };

  it("by default of Gemma nothing is added or removed", () => {
    expect(shown({}, "  a  b ")).toEqual(["▁▁a▁▁b▁", "  a  b "]);
  });

  it("add_dummy_prefix adds one space, which decoding drops again", () => {
    expect(shown({ addDummyPrefix: true }, "a b")).toEqual(["▁a▁b", "a b"]);
    expect(shown({ addDummyPrefix: true }, " a")).toEqual(["▁▁a", " a"]);
    expect(shown({ addDummyPrefix: true }, "")).toEqual(["", ""]);
  });

  it("remove_extra_whitespaces trims and collapses spaces", () => {
    const rules = { removeExtraWhitespaces: true };
    expect(shown(rules, "  a   b  ")).toEqual(["a▁b", "a b"]);
    expect(shown(rules, "   ")).toEqual(["", ""]);
    expect(shown({ ...rules, addDummyPrefix: true }, "  a ")).toEqual(["▁a", "a"]);
  });

  it("without escape_whitespaces a space stays a space", () => {
    expect(shown({ escapeWhitespaces: false }, "a b")).toEqual(["a b", "a b"]);
  });
});

describe("errors", () => {
  it("a missing file is named", () => {
    expect(() => loadSentencePiece("/no/such/tokenizer.model")).toThrow(
      /Cannot read the tokenizer \/no\/such\/tokenizer\.model/,
    );
  });

  it("an id outside the vocabulary is refused", () => {
    const tokenizer = tokenizerOf("tok512");
    for (const id of [-1, 512, 1.5, Number.NaN]) {
      expect(() => tokenizer.decode([id])).toThrow(FacetError);
      expect(() => tokenizer.idToPiece(id)).toThrow(/vocabulary of 512 pieces/);
    }
  });

  it("an unknown piece has no id", () => {
    expect(tokenizerOf("tok512").pieceToId("no such piece")).toBeUndefined();
  });
});
