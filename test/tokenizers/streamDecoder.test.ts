import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sentencePieceFromBytes } from "../../src/tokenizers/sentencePiece.js";
import { streamDecoder } from "../../src/tokenizers/streamDecoder.js";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { tokenizerOf, vectorsOf } from "./fixtures.js";
import { BYTES, CONTROL, modelBytes, Type } from "./model.js";

const tokenizer = tokenizerOf("tok512");
const byteIds = (...bytes: number[]) =>
  bytes.map((b) => tokenizer.pieceToId(`<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`)!);
const stream = (ids: readonly number[], from: Tokenizer = tokenizer) => {
  const decoder = streamDecoder(from);
  return [...ids.map((id) => decoder.push(id)), decoder.flush()];
};

describe("streamDecoder", () => {
  it("joined equals decode, for any ids", () => {
    const anyId = fc.nat({ max: 511 });
    const byte = fc.integer({ min: 0xc0, max: 0xff }).map((b) => byteIds(b)[0]!);
    const tail = fc.integer({ min: 0x80, max: 0xbf }).map((b) => byteIds(b)[0]!);
    fc.assert(
      fc.property(fc.array(fc.oneof(anyId, byte, tail), { maxLength: 40 }), (ids) => {
        expect(stream(ids).join("")).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 500 },
    );
  });

  it("emits only whole characters, as soon as they are whole", () => {
    const emoji = byteIds(...Buffer.from("😀"));
    expect(stream(emoji)).toEqual(["", "", "", "😀", ""]);
    const text = fc
      .string({ unit: "binary", maxLength: 30 })
      .filter((s) => !/\p{Surrogate}/u.test(s));
    fc.assert(
      fc.property(text, (s) => {
        for (const part of stream(tokenizer.encode(s))) expect(part).not.toMatch(/\p{Surrogate}/u);
      }),
    );
    for (const { text: s, roundtrip } of vectorsOf("tok512").encode) {
      if (!roundtrip || s.includes("\ufffd")) continue;
      expect(stream(tokenizer.encode(s)).join(""), s).not.toContain("\ufffd");
    }
  });

  it("replaces a malformed byte as soon as it is known to be malformed", () => {
    expect(stream(byteIds(0xff, 0x41))).toEqual(["\ufffd", "A", ""]);
    expect(stream(byteIds(0xe2, 0x82, 0x41))).toEqual(["", "", "\ufffd\ufffdA", ""]);
    // E0 80 is overlong, ED A0 a surrogate, F4 90 above U+10FFFF.
    expect(stream(byteIds(0xe0, 0x80))).toEqual(["", "\ufffd\ufffd", ""]);
    expect(stream(byteIds(0xed, 0xa0))).toEqual(["", "\ufffd\ufffd", ""]);
    expect(stream(byteIds(0xf4, 0x90))).toEqual(["", "\ufffd\ufffd", ""]);
  });

  it("an unfinished character becomes U+FFFD for each byte at the end, or at the next other token", () => {
    expect(stream(byteIds(0xe2, 0x82))).toEqual(["", "", "\ufffd\ufffd"]);
    const a = tokenizer.encode("a");
    expect(stream([...byteIds(0xe2), ...a])).toEqual(["", "\ufffda", ""]);
    expect(stream([...byteIds(0xe2), tokenizer.bosId, ...byteIds(0x82, 0xac)]).join("")).toBe(
      "\ufffd\ufffd\ufffd",
    );
  });

  it("does not join a byte that is out already with a later one", () => {
    expect(stream(byteIds(0xc2, 0xc2, 0x80, 0x80))).toEqual(["", "\ufffd", "\u0080", "\ufffd", ""]);
  });

  it("starts afresh after flush", () => {
    const decoder = streamDecoder(tokenizer);
    decoder.push(byteIds(0xe2)[0]!);
    expect(decoder.flush()).toBe("\ufffd");
    expect(decoder.push(byteIds(0x41)[0]!)).toBe("A");
  });

  it.each([{ addDummyPrefix: true }, { removeExtraWhitespaces: true }])(
    "drops spaces at the start only, as decode does, with %o",
    (rules) => {
      const pieces = [...CONTROL, ...BYTES, ["▁"], ["▁a"], ["a"], ["<0x0>", 0, Type.USER_DEFINED]];
      const other = sentencePieceFromBytes(
        modelBytes(pieces as typeof CONTROL, { byteFallback: true }, rules),
        "test.model",
      );
      const id = fc.oneof(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 260, max: 263 }),
        fc.constant(4 + 0x41),
      );
      fc.assert(
        fc.property(fc.array(id, { maxLength: 12 }), (ids) => {
          expect(stream(ids, other).join("")).toBe(other.decode(ids));
        }),
      );
      expect(other.decode([260, 260, 262])).toBe(rules.addDummyPrefix ? " a" : "a");
    },
  );
});
