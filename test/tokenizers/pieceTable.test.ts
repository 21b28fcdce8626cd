import { describe, expect, it } from "vitest";
import { createRandom } from "../../src/random.js";
import { extendHash, pieceTable } from "../../src/tokenizers/pieceTable.js";
import { Type, tokenizerModel } from "../../src/tokenizers/tokenizerModel.js";

const hashOf = (text: string) =>
  Array.from(text).reduce((hash, unit) => extendHash(hash, unit.charCodeAt(0)), 0);

/** Two texts of eight letters with the same hash. */
function sameHash(): [string, string] {
  const byHash = new Map<number, string>();
  const random = createRandom({ seed: 1, stream: "sampling" });
  for (;;) {
    const text = Array.from({ length: 8 }, () => (10 + random.below(26)).toString(36)).join("");
    const other = byHash.get(hashOf(text));
    if (other !== undefined) return [other, text];
    byHash.set(hashOf(text), text);
  }
}

describe("pieces chosen to have one hash", () => {
  // Any row of these two has the same hash as any other of its length.
  const [one, two] = sameHash();
  const rows = (length: number) =>
    Array.from({ length: 2 ** length }, (_, i) =>
      Array.from({ length }, (_, bit) => ((i >> bit) & 1 ? one : two)).join(""),
    );

  it("are found nevertheless", () => {
    const pieces = rows(8);
    const { table, crowded } = pieceTable(pieces);
    expect(crowded).toBeUndefined();
    expect(pieces.map((piece) => table.idOf(piece))).toEqual([...pieces.keys()]);
  });

  it("are refused when there are so many that each would take long to find", () => {
    const pieces = ["<pad>", "<eos>", "<bos>", "<unk>", ...rows(14)];
    const start = performance.now();
    expect(pieceTable(pieces).crowded).toBeGreaterThan(1000);
    expect(performance.now() - start).toBeLessThan(5000);
    const { CONTROL, UNKNOWN, NORMAL } = Type;
    const types = [CONTROL, CONTROL, CONTROL, UNKNOWN, ...rows(14).map(() => NORMAL)];
    const parts = {
      ...{ pieces, types, scores: new Float32Array(pieces.length), padId: 0, eosId: 1, bosId: 2 },
      ...{ unkSurface: "", byteFallback: false, addDummyPrefix: false },
      ...{ removeExtraWhitespaces: false, escapeWhitespaces: true },
    };
    expect(() => tokenizerModel(parts, "t.model")).toThrow(/too many others have the same hash/);
  });
});
