import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  loadSentencePiece,
  readSentencePiece,
  tokenizerOf as tokenizerOfModel,
} from "../../src/tokenizers/sentencePiece.js";
import { Type } from "../../src/tokenizers/tokenizerModel.js";
import { sharedFolder, tokenizerOf, vectorsOf } from "./fixtures.js";
import { mergeByDefinition } from "./mergeByDefinition.js";

describe.each(["tok512", "tok4096"])("the vectors of %s, made by sentencepiece 0.2.2", (folder) => {
  const tokenizer = tokenizerOf(folder);
  const vectors = vectorsOf(folder);

  it("are there", () => {
    expect(vectors.encode).toHaveLength(268);
    expect(vectors.decode).toHaveLength(77);
  });

  it.each(vectors.encode)("encode $text", ({ text, ids, pieces, decoded, roundtrip }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.encode(text), "again, from the cache").toEqual(ids);
    expect(ids.map((id) => tokenizer.idToPiece(id))).toEqual(pieces);
    expect(pieces.map((piece) => tokenizer.pieceToId(piece))).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(decoded === text).toBe(roundtrip);
  });

  it.each(vectors.decode)("decode $ids", ({ ids, text }) => {
    expect(tokenizer.decode(ids)).toBe(text);
  });
});

const gemma = `${sharedFolder}/data/gemma`;
const present = existsSync(`${gemma}/tokenizer.model`);
if (!present) console.log(`Not tested: Gemma's own tokenizer, which needs ${gemma}.`);

describe.skipIf(!present)("the tokenizer of Gemma 1 and 2", () => {
  const load = () => loadSentencePiece(`${gemma}/tokenizer.model`);
  const differing = (cases: readonly { text: string; ids: number[] }[]) => {
    const tokenizer = load();
    return cases.filter(({ text, ids }) => tokenizer.encode(text).join() !== ids.join());
  };

  it("has 256,000 pieces and Gemma's control ids", () => {
    const tokenizer = load();
    expect(tokenizer.vocabularySize).toBe(256_000);
    const { padId, eosId, bosId, unkId } = tokenizer;
    expect([padId, eosId, bosId, unkId]).toEqual([0, 1, 2, 3]);
    expect(tokenizer.pieceToId("<start_of_turn>")).toBe(106);
    expect(tokenizer.pieceToId("<end_of_turn>")).toBe(107);
  });

  it("encodes the 101 published vectors", () => {
    const { gemma12 } = JSON.parse(readFileSync(`${gemma}/tokenizer_vectors.json`, "utf8"));
    expect(gemma12).toHaveLength(101);
    expect(differing(gemma12)).toEqual([]);
  });

  it("encodes 1,800 texts as the C++ library does", () => {
    const lines = readFileSync(`${gemma}/tokenizer_reference.jsonl`, "utf8").trim().split("\n");
    expect(lines).toHaveLength(1800);
    expect(differing(lines.map((line) => JSON.parse(line)))).toEqual([]);
  });

  it("merges random mixtures of those texts as the definition says", () => {
    const model = readSentencePiece(`${gemma}/tokenizer.model`);
    const tokenizer = tokenizerOfModel(model);
    const scores = new Map(
      model.pieces.flatMap((piece, id) =>
        model.types[id] === Type.NORMAL ? [[piece, model.scores[id]!] as const] : [],
      ),
    );
    // What user-defined pieces are made of is left out: runs of white space, and tags.
    const texts = readFileSync(`${gemma}/tokenizer_reference.jsonl`, "utf8")
      .trim()
      .split("\n")
      .map((line) => [
        ...JSON.parse(line)
          .text.replace(/[\s▁]+/g, " ")
          .replace(/[<[]/g, ""),
      ])
      .filter((characters) => characters.length > 0);
    const cut = fc
      .tuple(fc.constantFrom(...texts), fc.nat(), fc.integer({ min: 1, max: 30 }))
      .map(([characters, at, length]) => {
        const start = at % characters.length;
        return characters.slice(start, start + length).join("");
      });
    const mixture = fc
      .array(fc.oneof(cut, fc.string({ unit: "grapheme", maxLength: 4 })), { maxLength: 6 })
      .map((cuts) =>
        cuts
          .join("")
          .replace(/[\s▁]+/g, " ")
          .replace(/[<[]/g, ""),
      )
      .filter((text) => !/\p{Cs}/u.test(text));
    const bytesOf = (symbol: string) =>
      [...new TextEncoder().encode(symbol)].map(
        (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
      );
    fc.assert(
      fc.property(mixture, (text) => {
        const merged = mergeByDefinition([...text.replaceAll(" ", "▁")], scores);
        const expected = merged.flatMap((symbol) =>
          scores.has(symbol) ? symbol : bytesOf(symbol),
        );
        expect(tokenizer.encode(text).map((id) => tokenizer.idToPiece(id))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });
});
