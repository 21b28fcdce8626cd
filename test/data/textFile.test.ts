import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blockLines, fileLines, lineBlocks } from "../../src/data/textFile.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const write = fileWriter(temporaryFolder());
const collected = async <T>(values: AsyncIterable<T>) => {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
};

describe("lines", () => {
  const line = fc.string({
    unit: fc.constantFrom("a", " ", "é", "😀", "\r", "\ufeff"),
    maxLength: 8,
  });

  it("are the same in blocks of any size", async () => {
    const file = fc.tuple(fc.array(line, { minLength: 1, maxLength: 40 }), fc.boolean());
    await fc.assert(
      fc.asyncProperty(file, fc.integer({ min: 1, max: 60 }), async ([lines, ended], least) => {
        const text = lines.join("\n").replace(/^\ufeff+/, "") + (ended ? "\n" : "");
        const path = write(text);
        const expected = text.split("\n").map((text, i) => ({ text, line: i + 1 }));
        if (expected.at(-1)!.text === "") expected.pop();
        expect(await collected(fileLines(path))).toEqual(expected);
        const blocks = await collected(lineBlocks(path, least));
        expect(blocks.flatMap((block) => [...blockLines(block, path)])).toEqual(expected);
        expect(Buffer.concat(blocks.map(({ bytes }) => bytes)).toString()).toBe(text);
        for (const { bytes } of blocks.slice(0, -1)) expect(bytes.at(-1)).toBe(0x0a);
      }),
      { numRuns: 100 },
    );
  });

  it("that are long stay whole, and many are counted right", async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `${i}`.repeat(1 + ((i * 37) % 500)));
    lines.push("x".repeat(300_000), "end");
    const path = write(lines.join("\n"));
    const blocks = await collected(lineBlocks(path, 2 ** 14));
    expect(blocks.length).toBeGreaterThan(1);
    const found = blocks.flatMap((block) => [...blockLines(block, path)]);
    expect(found).toEqual(lines.map((text, i) => ({ text, line: i + 1 })));
  });

  it("that are not UTF-8 are named, after those before them", async () => {
    const path = write(Buffer.from("one\ntwo\n\xff\xfethree\nfour", "latin1"));
    const seen: string[] = [];
    const read = async () => {
      for await (const { text } of fileLines(path)) seen.push(text);
    };
    await expect(read()).rejects.toThrow(/line 3: not valid UTF-8/);
    expect(seen).toEqual(["one", "two"]);
  });
});
