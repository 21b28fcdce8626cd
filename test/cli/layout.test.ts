import { describe, expect, it } from "vitest";
import { facts, sideBySide, wrap } from "../../src/cli/layout.js";

describe("wrap", () => {
  it("breaks at spaces and keeps paragraphs", () => {
    expect(wrap("one two three\nfour", 8)).toEqual(["one two", "three", "four"]);
  });

  it("cuts a word that is longer than a line", () => {
    expect(wrap("a abcdefghij", 4)).toEqual(["a", "abcd", "efgh", "ij"]);
  });
});

describe("sideBySide", () => {
  const [left, right] = [
    { title: "Before", text: "word ".repeat(30).trim() },
    { title: "After", text: "short" },
  ];

  it("has two columns in a wide terminal", () => {
    const lines = sideBySide(left, right, 83).split("\n");
    expect(lines[0]).toBe(`Before${" ".repeat(34)} │ After`);
    expect(lines[2]).toBe(`${"word ".repeat(8).trim().padEnd(40)} │ short`);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(83);
  });

  it("stacks the texts in a narrow one", () => {
    const lines = sideBySide(left, right, 40).split("\n");
    expect(lines[0]).toBe("Before:");
    expect(lines.slice(-2)).toEqual(["After:", "  short"]);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
  });
});

describe("facts", () => {
  it("aligns values and continues long ones below themselves", () => {
    expect(
      facts(
        [
          ["A", "1"],
          ["Long", "two words"],
        ],
        18,
      ),
    ).toBe("A     1\nLong  two words");
    expect(facts([["A", "one two three four"]], 16)).toBe("A  one two three\n   four");
  });

  it("puts values below their labels where there is no room beside them", () => {
    expect(facts([["Held-out accuracy", "1 %"]], 20)).toBe("Held-out accuracy\n  1 %");
  });
});
