import { describe, expect, it } from "vitest";
import { columnNames, renaming } from "../../src/data/columns.js";
import { rowOf } from "./rowOf.js";

const renamed = (pairs: string[], fields: Record<string, string>) =>
  renaming(columnNames(pairs), [rowOf(fields)])(rowOf(fields)).fields;

describe("columns", () => {
  it("are called as formats and templates do", () => {
    const row = { question: "q", answer: "a", id: "1" };
    const wanted = { prompt: "q", completion: "a", id: "1" };
    expect(renamed(["prompt=question,completion=answer"], row)).toEqual(wanted);
    expect(renamed(["prompt=question", "completion=answer"], row)).toEqual(wanted);
    expect(renamed([], row)).toEqual(row);
  });

  it("can be swapped, and take the place of a column with that name", () => {
    expect(renamed(["a=b,b=a"], { a: "1", b: "2" })).toEqual({ a: "2", b: "1" });
    expect(renamed(["text=body"], { text: "old", body: "new" })).toEqual({ text: "new" });
  });

  it("are gone from a row that has none, where the data set has the column", () => {
    const rename = renaming(columnNames(["text=body"]), [rowOf({ body: "b" })]);
    expect(rename(rowOf({ text: "old" })).fields).toEqual({});
  });

  it("stay in a data set that has the field already", () => {
    expect(renamed(["text=body"], { text: "old" })).toEqual({ text: "old" });
  });

  it("may have commas, spaces and equals signs in their names", () => {
    expect(renamed(["text=a, b=c"], { "a, b=c": "x" })).toEqual({ text: "x" });
  });

  it("may hold lists", () => {
    const row = { ...rowOf({}), nonText: { chat: [1] } };
    const rename = renaming(columnNames(["messages=chat"]), [row]);
    expect(rename(row).nonText).toEqual({ messages: [1] });
  });

  it.each([
    [["prompt"], /"prompt" names no column/],
    [["=x"], /names no column/],
    [["a=x,a=y"], /names "a" twice/],
    [["a=x,b=x"], /names "x" twice/],
  ])("are refused for %j", (pairs, message) => {
    expect(() => columnNames(pairs)).toThrow(message);
  });

  it("are refused where no row has them", () => {
    expect(() => renamed(["prompt=questoin"], { question: "q" })).toThrow(
      /Unknown column "questoin". Did you mean "question"/,
    );
  });
});
