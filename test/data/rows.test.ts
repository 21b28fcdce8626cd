import { describe, expect, it } from "vitest";
import { rowOf, textField } from "../../src/data/rows.js";

describe("rowOf", () => {
  it("keeps fields of other types apart, and takes null for missing", () => {
    const value = { a: "1", n: 5, list: [], o: {}, t: true, none: null };
    expect(rowOf(value, { file: "f", line: 3 })).toEqual({
      file: "f",
      line: 3,
      fields: { a: "1" },
      nonText: { n: 5, list: [], o: {}, t: true },
    });
  });

  it("reads a field named __proto__ as any other", () => {
    const { fields } = rowOf(JSON.parse('{"__proto__":"x"}'), { file: "f", line: 1 });
    expect(Object.entries(fields)).toEqual([["__proto__", "x"]]);
  });

  it.each([
    [[1], "a list"],
    ["text", "a string"],
    [null, "null"],
    [3, "a number"],
  ])("refuses %j", (value, found) => {
    expect(() => rowOf(value, { file: "f", line: 2 })).toThrow(
      `f, line 2: expected a JSON object such as {"text": "…"}, found ${found}.`,
    );
    expect(() => rowOf(value, { file: "f", line: 2, unit: "row" })).toThrow(/^f, row 2: /);
  });
});

describe("textField", () => {
  it("gives the text, undefined for a missing field, and refuses what is not text", () => {
    const row = rowOf({ a: "1", n: 5 }, { file: "f", line: 1 });
    expect(textField(row, "a")).toBe("1");
    expect(textField(row, "toString")).toBeUndefined();
    expect(() => textField(row, "n")).toThrow(/line 1: field "n" is a number, but text is needed/);
  });
});
