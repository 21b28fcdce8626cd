import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { readModel } from "../../src/tokenizers/modelFile.js";
import { sentencePieceBytes } from "../../src/tokenizers/modelFileWriting.js";
import { readSentencePiece, tokenizerOf } from "../../src/tokenizers/sentencePiece.js";
import { tokenizerFromJson, toTokenizerJson } from "../../src/tokenizers/tokenizerJson.js";
import { fixturePath, sharedFolder, vectorsOf } from "./fixtures.js";

const folders = ["tok512", "tok4096"];
const spm = (folder: string) => readSentencePiece(fixturePath(folder, "tokenizer.model"));
const shared = (folder: string) => `${sharedFolder}/fixtures/${folder}/tokenizer.json`;
const present = existsSync(shared("tok512"));
if (!present) console.log(`Not tested: tokenizer.json files, which need ${shared("tok512")}.`);

describe.skipIf(!present).each(folders)(
  "the tokenizer.json of %s, made by Transformers",
  (folder) => {
    const text = present ? readFileSync(shared(folder), "utf8") : "";

    it("encodes the vectors of the SentencePiece library", () => {
      const tokenizer = tokenizerOf(tokenizerFromJson(text, "t.json"));
      for (const { text, ids, decoded } of vectorsOf(folder).encode) {
        expect(tokenizer.encode(text)).toEqual(ids);
        expect(tokenizer.decode(ids)).toBe(decoded);
      }
    });

    it("is what is written for the tokenizer.model, but for turn markers, which become special", () => {
      const ours = JSON.parse(toTokenizerJson(spm(folder)));
      const theirs = JSON.parse(text);
      for (const token of theirs.added_tokens) {
        if (/_of_turn>$/.test(token.content)) token.special = true;
      }
      expect(ours).toEqual(theirs);
    });
  },
);

describe("a tokenizer.json", () => {
  const json = () => JSON.parse(toTokenizerJson(spm("tok512")));
  const read = (value: unknown, size?: number) =>
    tokenizerFromJson(JSON.stringify(value), "t.json", size);
  const refuses = (change: (file: ReturnType<typeof json>) => void, message: RegExp) => {
    const file = json();
    change(file);
    expect(() => read(file)).toThrow(FacetError);
    expect(() => read(file)).toThrow(message);
  };

  it("of a vocabulary as large as Gemma's is read in seconds", () => {
    const file = json();
    for (let id = Object.keys(file.model.vocab).length; id < 262_144; id++) {
      file.model.vocab[`piece ${id}`] = id;
    }
    const text = JSON.stringify(file);
    const start = performance.now();
    expect(tokenizerFromJson(text, "t.json").pieces).toHaveLength(262_144);
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it("that is no UTF-8 is refused", () => {
    const bytes = Uint8Array.of(0x7b, 0xff, 0x7d);
    expect(() => tokenizerFromJson(bytes, "t.json")).toThrow(/t.json: not valid JSON/);
  });

  it.each(folders)("of ours gives %s back", (folder) => {
    const original = spm(folder);
    const copy = tokenizerFromJson(toTokenizerJson(original), "t.json");
    expect(copy.pieces).toEqual(original.pieces);
    expect(copy.byteIds).toEqual(original.byteIds);
    const tokenizer = tokenizerOf(copy);
    for (const { text, ids } of vectorsOf(folder).encode)
      expect(tokenizer.encode(text)).toEqual(ids);
  });

  it("may have merges in one string, as older converters wrote them", () => {
    const file = json();
    file.model.merges = file.model.merges.map((pair: string[]) => pair.join(" "));
    expect(read(file).scores).toEqual(read(json()).scores);
  });

  it("may have tokens beyond the model's vocabulary, which are left out", () => {
    const file = json();
    file.added_tokens.push({ ...file.added_tokens[0], id: 512, content: "<image_soft_token>" });
    expect(read(file).pieces).toHaveLength(513);
    expect(read(file, 512).pieces).toHaveLength(512);
  });

  it("may have the tab in the place of its byte", () => {
    const file = json();
    const id = file.model.vocab["<0x09>"];
    delete file.model.vocab["<0x09>"];
    file.model.vocab["\t"] ??= id;
    expect(read(file).byteIds![9]).toBe(file.model.vocab["\t"]);
  });

  it("that would encode text otherwise is refused", () => {
    refuses((file) => (file.model.type = "Unigram"), /at model.type/);
    refuses((file) => (file.model.dropout = 0.1), /dropout/);
    refuses((file) => (file.model.byte_fallback = false), /byte_fallback/);
    refuses((file) => (file.normalizer = { type: "Lowercase" }), /normalizer/);
    refuses((file) => (file.pre_tokenizer = { type: "ByteLevel" }), /pre_tokenizer/);
  });

  it("that contradicts itself is refused", () => {
    expect(() => tokenizerFromJson("{", "t.json")).toThrow(/t\.json: not valid JSON/);
    refuses((file) => (file.model.vocab.zzz = 9), /the id 9 has two tokens/);
    refuses((file) => (file.model.vocab.zzz = 600), /the id 512 has no token/);
    refuses((file) => (file.model.vocab.zzz = 1e9), /far beyond the number of tokens/);
    refuses((file) => file.model.merges.push(["q", "never"]), /is not of tokens into a token/);
    refuses((file) => file.model.merges.push(file.model.merges[30]), /stand apart from each other/);
  });
});

describe("a SentencePiece model that Facet writes", () => {
  it.each(folders)("is %s again", (folder) => {
    const original = spm(folder);
    const { table, ...copy } = readModel(sentencePieceBytes(original), "copy");
    const { table: originalTable, ...expected } = original;
    expect(copy).toEqual(expected);
    expect(table.idOf("▁the")).toBe(originalTable.idOf("▁the"));
  });
});
