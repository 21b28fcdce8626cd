import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { endsInOneOf, firstMatches } from "../../src/formats/peftPatterns.js";

describe("the first pattern that matches", () => {
  it("has to match the whole name, or all after one of its dots", () => {
    const patterns = new Map([
      ["a\\.b", 1],
      ["b", 2],
      ["x|.*c", 3],
    ]);
    const names = ["a.b", "z.a.b", "za.b", "b", "bb", "y.c", "x"];
    expect(firstMatches(patterns, names)).toEqual([1, 1, 2, 2, undefined, 3, 3]);
    expect(firstMatches(new Map(), names)).toEqual(names.map(() => undefined));
  });

  it.each(["(a+)+$", "(?:.*.*.*.*.*)*!", "(\\w|\\w\\w)*!"])(
    "is not looked for longer than some seconds: %s",
    (pattern) => {
      const start = performance.now();
      const name = `${"a".repeat(900)}.`;
      expect(() => firstMatches(new Map([[pattern, 1]]), [name])).toThrow(FacetError);
      expect(performance.now() - start).toBeLessThan(20_000);
    },
  );

  it.each(["(", "a)(b", "[", "*"])("is none of a text that is no expression: %s", (pattern) => {
    expect(() => firstMatches(new Map([[pattern, 1]]), ["a"])).toThrow(/not a regular expression/);
  });
});

describe("whether a path ends in one of some names", () => {
  const parts = fc.array(fc.constantFrom("a", "b", ".", ""), { maxLength: 6 });
  const path = parts.map((list) => list.join(""));

  it("is what asking each name says", () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 5 }), path, (names, path) => {
        const expected = names.some((name) => path === name || path.endsWith(`.${name}`));
        expect(endsInOneOf(names)(path)).toBe(expected);
      }),
    );
  });

  it("does not take longer for more names", () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `name${i}`);
    const isOne = endsInOneOf(names);
    const start = performance.now();
    for (const name of names) expect(isOne(`model.layers.0.${name}x`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
