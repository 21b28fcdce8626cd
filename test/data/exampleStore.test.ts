import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exampleStore } from "../../src/data/exampleStore.js";
import type { Example } from "../../src/data/examples.js";
import { temporaryFolder } from "./temporaryFile.js";

const folder = temporaryFolder();

const example = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 262_143 }), fc.integer({ min: 0, max: 1 })), {
    minLength: 2,
    maxLength: 40,
  })
  .map(
    (tokens): Example => ({
      ids: Int32Array.from(tokens, ([id]) => id),
      isTarget: Uint8Array.from(tokens, ([, flag]) => flag),
      line: tokens.length,
      truncated: tokens[0]![0],
    }),
  );

describe("exampleStore", () => {
  it.each([1, 64, 1000, 2 ** 20])("gives every example back, with %d bytes of memory", (bytes) => {
    fc.assert(
      fc.property(fc.array(example, { minLength: 1, maxLength: 60 }), (examples) => {
        const store = exampleStore({ folder, bytes });
        for (const each of examples) store.push(each);
        expect(store).toHaveLength(examples.length);
        expect([...store]).toEqual(examples);
        for (const i of [examples.length - 1, 0]) expect(store.at(i)).toEqual(examples[i]);
        expect(store.at(examples.length)).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  it("takes more after some have been read", () => {
    const store = exampleStore({ folder, bytes: 100 });
    const made = (n: number): Example => ({
      ids: Int32Array.from({ length: 10 }, (_, i) => n * 100 + i),
      isTarget: new Uint8Array(10).fill(n % 2),
      line: n,
      truncated: 0,
    });
    for (let n = 0; n < 20; n++) {
      store.push(made(n));
      expect(store.at(n)).toEqual(made(n));
      expect(store.at(0)).toEqual(made(0));
    }
  });

  it("leaves nothing in the folder, and writes nothing that fits into memory", () => {
    expect(readdirSync(folder)).toEqual([]);
    exampleStore({ folder: "never made", bytes: 2 ** 20 }).push({
      ...{ ids: new Int32Array(9), isTarget: new Uint8Array(9), line: 1, truncated: 0 },
    });
  });

  it("says where it cannot write", () => {
    writeFileSync(join(folder, "file"), "");
    const store = exampleStore({ folder: join(folder, "file", "x"), bytes: 1 });
    const one = { ids: new Int32Array(9), isTarget: new Uint8Array(9), line: 1, truncated: 0 };
    store.push(one);
    expect(() => store.push(one)).toThrow(/Cannot write the examples to .*file\/x/);
  });
});
