import { describe, expect, it } from "vitest";
import { MAX_DOCUMENT_CHARACTERS, readDocuments } from "../../src/data/documents.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const folder = temporaryFolder();
const write = fileWriter(folder);

async function collect(
  path: string,
  onBytes: (count: number) => void = () => {},
): Promise<string[]> {
  const found: string[] = [];
  for await (const document of readDocuments(path, onBytes)) found.push(document);
  return found;
}

async function documents(content: string | Uint8Array): Promise<string[]> {
  return collect(write(content));
}

describe("readDocuments", () => {
  it("ends a document at two blank lines or a form feed, not at one blank line", async () => {
    expect(await documents("a\n\nb\nc\n\n\nd\n \t\r\n\r\n\n\n\ne\ff\n")).toEqual([
      "a\n\nb\nc",
      "d",
      "e",
      "f",
    ]);
  });

  it("leaves out empty documents and the byte order mark", async () => {
    expect(await documents("\ufeff\n\n\n\na\n\n\n\f\n\n\n")).toEqual(["a"]);
    expect(await documents("")).toEqual([]);
  });

  it("cuts a long document at paragraphs, else lines, else spaces, losing only white space", async () => {
    for (const mark of ["\n\n", "\n", " "]) {
      const text = Array.from({ length: 20_000 }, (_, i) => `word${i}`).join(mark);
      const parts = await documents(text);
      expect(parts.length).toBeGreaterThan(3);
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(MAX_DOCUMENT_CHARACTERS);
      expect(parts.join(mark)).toBe(text);
    }
  });

  it("cuts text without any white space between characters, never inside one", async () => {
    const text = `x${"😀".repeat(40_000)}`;
    const parts = await documents(text);
    expect(parts.join("")).toBe(text);
    // Half of a surrogate pair would become U+FFFD.
    for (const part of parts) expect(Buffer.from(part).toString()).toBe(part);
  });

  it("reads characters that lie across two reads", async () => {
    const text = "é".repeat(70_000);
    expect((await documents(`x${text}`)).join("")).toBe(`x${text}`);
  });

  it("tells how many bytes it has read", async () => {
    let bytes = 0;
    await collect(write("é".repeat(70_000)), (count) => {
      bytes += count;
    });
    expect(bytes).toBe(140_000);
  });

  it("refuses what is not UTF-8, whether wrong or cut short", async () => {
    await expect(documents(Buffer.from([0xfd, 0x37, 0x7a]))).rejects.toThrow(/not UTF-8 text/);
    await expect(documents(Buffer.from("é").subarray(0, 1))).rejects.toThrow(/near byte 1/);
  });

  it("says which file is missing", async () => {
    await expect(collect(`${folder}/missing`)).rejects.toThrow(/missing: there is no such file/);
  });
});
