import { describe, expect, it } from "vitest";
import { contentFraction, fileDigest } from "../../src/data/digest.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const folder = temporaryFolder();

describe("fileDigest", () => {
  it("is the sha256 of the bytes (FIPS 180-2's example)", async () => {
    expect(await fileDigest(fileWriter(folder)("abc"))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  it("says which file is missing", async () => {
    await expect(fileDigest(`${folder}/missing`)).rejects.toThrow(/missing: there is no such file/);
  });
});

describe("contentFraction", () => {
  it("is the first 48 bits of the sha256 as a fraction", () => {
    expect(contentFraction("abc")).toBe(0xba7816bf8f01 / 2 ** 48);
  });
});
