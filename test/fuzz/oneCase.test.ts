import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { uninstall as plainConstructors } from "./allocations.js";
import { uninstall as plainFiles } from "./memoryFolder.js";
import { runCase } from "./oneCase.js";

afterAll(() => {
  plainFiles();
  plainConstructors();
});

const kindOf = async (read: (folder: string) => void) =>
  (await runCase({ name: "x", seeds: () => [], read }, new Map([["a.txt", Uint8Array.of(65)]])))
    ?.kind;

function refused(read: () => void): void {
  try {
    read();
  } catch (cause) {
    throw new FacetError("refused", { cause });
  }
}

describe("a reader", () => {
  test("may read the files that it is given, and refuse them", async () => {
    expect(
      await kindOf((folder) => {
        if (readFileSync(join(folder, "a.txt"), "utf8") !== "A") throw new Error();
        throw new FacetError("refused");
      }),
    ).toBeUndefined();
  });

  test("must not throw anything else, go elsewhere, or leave a file open", async () => {
    expect(await kindOf(() => (undefined as unknown as string).length)).toBe("crash");
    expect(await kindOf((folder) => refused(() => readFileSync(join(folder, "../x"))))).toBe(
      "outside",
    );
    expect(await kindOf((folder) => openSync(join(folder, "a.txt"), "r"))).toBe("left open");
  });

  test.each([
    ["a buffer", () => Buffer.alloc(1e9)],
    ["an array of numbers", () => new Float32Array(1e9)],
    ["a list", () => Array.from({ length: 1e9 }, () => 0)],
    ["many lists", () => Array.from({ length: 1e6 }, () => new Float64Array(10))],
    ["many objects", () => Array.from({ length: 1e6 }, (_, i) => ({ i, text: `${i}` }))],
  ])(
    "must not ask for room that its files do not justify, even if it refuses them: %s",
    async (_, make) => {
      expect(await kindOf(() => refused(() => expect(make()).toBeDefined()))).toBe("memory");
    },
  );

  test("must not take long", async () => {
    expect(
      await kindOf(() => {
        const start = performance.now();
        while (performance.now() - start < 400);
      }),
    ).toBe("slow");
  });
});
