import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CorpusOptions, tokenizeCorpus } from "../../src/data/corpus.js";
import { byteTokenizer, plainBytes } from "./byteTokenizer.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const folder = temporaryFolder();
const write = fileWriter(folder);
let caches = 0;
const options = (files: string[], more: Partial<CorpusOptions> = {}): CorpusOptions => {
  caches += 1;
  const cacheFile = join(folder, `tokens-${caches}.bin`);
  return { files, tokenizer: byteTokenizer(), cacheFile, heldOut: 0, ...more };
};
const many = write(Array.from({ length: 200 }, (_, i) => `document ${i}`).join("\n\n\n"));

describe("tokenizeCorpus", () => {
  it("writes each document as start token, text, end token, file after file", async () => {
    const corpus = await tokenizeCorpus(options([write("a\n\n\nb"), write("c")]));
    const [a, b, c] = [..."abc"].map((letter) => letter.charCodeAt(0) + 6);
    expect([...corpus.train.tokens]).toEqual([2, a, 1, 2, b, 1, 2, c, 1]);
    expect(corpus.train.documents).toBe(3);
    expect(corpus.heldOut.tokens).toHaveLength(0);
  });

  it.each([
    [65_536, Uint16Array],
    [65_537, Uint32Array],
  ])("stores a vocabulary of %d in the smallest type, little-endian", async (size, type) => {
    const tokenizer = byteTokenizer(undefined, size);
    const chosen = options([write("ab")], { tokenizer });
    const { train } = await tokenizeCorpus(chosen);
    expect(train.tokens).toBeInstanceOf(type);
    const bytes = readFileSync(chosen.cacheFile);
    expect(bytes).toHaveLength(4 * type.BYTES_PER_ELEMENT);
    expect(bytes.readUIntLE(type.BYTES_PER_ELEMENT, type.BYTES_PER_ELEMENT)).toBe(103);
  });

  it("holds out documents by their content, whatever stands around them", async () => {
    const textOf = (tokens: Iterable<number>) =>
      byteTokenizer().decode(Array.from(tokens, (id) => (id === 1 ? 16 : id)));
    const { train, heldOut } = await tokenizeCorpus(options([many], { heldOut: 0.2 }));
    expect(train.documents + heldOut.documents).toBe(200);
    // Four standard deviations: 4 · √(200 · 0.2 · 0.8) = 23.
    expect(Math.abs(heldOut.documents - 40)).toBeLessThan(23);
    const other = await tokenizeCorpus(
      options([write(`new\n\n\n${readFileSync(many, "utf8")}`)], { heldOut: 0.2 }),
    );
    expect(textOf(other.heldOut.tokens).replace("new\n", "")).toBe(textOf(heldOut.tokens));
  });

  it("uses the cache again for the same texts, tokenizer and fraction, and only then", async () => {
    const chosen = options([many], { heldOut: 0.2 });
    const first = await tokenizeCorpus(chosen);
    const again = await tokenizeCorpus(chosen);
    expect([first.reused, again.reused]).toEqual([false, true]);
    expect(again).toEqual({ ...first, reused: true });
    for (const changed of [
      { files: [many, write("more")] },
      { tokenizer: plainBytes() },
      { heldOut: 0.1 },
    ]) {
      expect((await tokenizeCorpus({ ...chosen, ...changed })).reused).toBe(false);
    }
  });

  it("makes a damaged cache again", async () => {
    const chosen = options([many]);
    const first = await tokenizeCorpus(chosen);
    const flip = () => {
      const bytes = readFileSync(chosen.cacheFile);
      bytes[10]! ^= 1;
      writeFileSync(chosen.cacheFile, bytes);
    };
    for (const damage of [
      flip,
      () => truncateSync(chosen.cacheFile, 101),
      () => truncateSync(`${chosen.cacheFile}.json`, 50),
      () => writeFileSync(`${chosen.cacheFile}.json`, "null"),
    ]) {
      damage();
      expect(await tokenizeCorpus(chosen)).toEqual(first);
      expect((await tokenizeCorpus(chosen)).reused).toBe(true);
    }
  });

  it("makes the cache's folder, or says why it cannot", async () => {
    const file = write("text");
    const chosen = options([file], { cacheFile: join(folder, "new", "folder", "tokens.bin") });
    await tokenizeCorpus(chosen);
    expect((await tokenizeCorpus(chosen)).reused).toBe(true);
    const inFile = options([file], { cacheFile: join(file, "tokens.bin") });
    await expect(tokenizeCorpus(inFile)).rejects.toThrow(/Cannot make the cache folder/);
  });

  it("grows past its first allocation", async () => {
    const text = Array.from({ length: 9 }, (_, i) => `${i}`.repeat(30_000)).join("\f");
    const { train } = await tokenizeCorpus(options([write(text)]));
    expect(train.tokens).toHaveLength(9 * 30_002);
    expect(train.tokens.at(-2)).toBe("8".charCodeAt(0) + 6);
  });

  it("tells its progress up to the total", async () => {
    const calls: number[][] = [];
    await tokenizeCorpus(
      options([write("ab"), write("cde")], {
        onProgress: (done, total) => calls.push([done, total]),
      }),
    );
    expect(calls).toEqual([
      [2, 5],
      [5, 5],
    ]);
  });

  it("refuses a missing file, text without documents, and a fraction that leaves a side empty", async () => {
    await expect(tokenizeCorpus(options([join(folder, "missing")]))).rejects.toThrow(
      /no such file/,
    );
    await expect(tokenizeCorpus(options([write("\n\n\n")]))).rejects.toThrow(/puts 0 documents/);
    await expect(tokenizeCorpus(options([]))).rejects.toThrow(/of no files/);
    await expect(tokenizeCorpus(options([write("a")], { heldOut: 1e-9 }))).rejects.toThrow(
      /1 documents of .* into training and 0 into evaluation/,
    );
    await expect(tokenizeCorpus(options([many], { heldOut: 1 }))).rejects.toThrow(/less than 1/);
  });
});
