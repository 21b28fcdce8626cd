import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { readSentencePiece, tokenizerOf } from "../../src/tokenizers/sentencePiece.js";
import type { TokenizerModel } from "../../src/tokenizers/tokenizerModel.js";
import { keptTokenizer } from "../../src/tokenizers/vocabularyCache.js";
import { fromVocabularyBytes, vocabularyBytes } from "../../src/tokenizers/vocabularyFile.js";
import { temporaryFolder } from "../formats/temporaryFolder.js";
import { fixturePath, vectorsOf } from "./fixtures.js";

const path = temporaryFolder();
const model = readSentencePiece(fixturePath("tok4096", "tokenizer.model"));
/** Stands for the file of a large vocabulary. */
const source = new Uint8Array(2 ** 20).fill(7);

const asData = ({ table, ...rest }: TokenizerModel) => ({ ...rest, table: table.arrays });

describe("a vocabulary file", () => {
  it("gives the tokenizer that it was made of", () => {
    const read = fromVocabularyBytes(vocabularyBytes(model))!;
    expect(asData(read)).toEqual(asData(model));
    const tokenizer = tokenizerOf(read);
    for (const { text, ids, decoded } of vectorsOf("tok4096").encode) {
      expect(tokenizer.encode(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
  });

  it("is read from wherever in memory it lies", () => {
    const bytes = vocabularyBytes(model);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(asData(fromVocabularyBytes(shifted.subarray(3))!)).toEqual(asData(model));
  });

  it("is not believed when a bit has changed, or the end is missing", () => {
    const bytes = vocabularyBytes(model);
    for (const at of [0, 40, bytes.length >> 1, bytes.length - 1]) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1;
      expect(fromVocabularyBytes(damaged)).toBeUndefined();
    }
    for (const length of [0, 20, 36, bytes.length - 1]) {
      expect(fromVocabularyBytes(bytes.subarray(0, length))).toBeUndefined();
    }
  });
});

describe("a kept tokenizer", () => {
  it("is made once for the same bytes read in the same way", () => {
    const make = vi.fn(() => model);
    const first = keptTokenizer(path("kept"), source, "one way", make);
    const again = keptTokenizer(path("kept"), source, "one way", make);
    expect(make).toHaveBeenCalledTimes(1);
    expect(asData(again)).toEqual(asData(first));
    keptTokenizer(path("kept"), source, "another way", make);
    keptTokenizer(path("kept"), source.slice().fill(8), "one way", make);
    expect(make).toHaveBeenCalledTimes(3);
  });

  it("is made again when the kept file is damaged, and kept whole this time", () => {
    const make = vi.fn(() => model);
    keptTokenizer(path(), source, "", make);
    const file = join(path(), readdirSync(path())[0]!);
    const whole = readFileSync(file);
    writeFileSync(file, whole.subarray(0, 1000));
    expect(keptTokenizer(path(), source, "", make)).toBe(model);
    expect(readFileSync(file)).toEqual(whole);
  });

  it("is made where the folder cannot be written", () => {
    writeFileSync(path("file"), "");
    expect(keptTokenizer(path("file"), source, "", () => model)).toBe(model);
  });

  it("of a small file is not kept at all", () => {
    keptTokenizer(path(), source.subarray(1), "", () => model);
    expect(readdirSync(path())).toEqual([]);
  });
});
