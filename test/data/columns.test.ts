import { describe, expect, it } from "vitest";
import { renamedColumns } from "../../src/data/columns.js";
import { rowOf } from "./rowOf.js";

const renamed = (pairs: string[], fields: Record<string, string>) =>
  renamedColumns(pairs).rename(rowOf(fields)).fields;

describe("renamedColumns", () => {
  it("calls columns as formats and templates do", () => {
    const row = { question: "q", answer: "a", id: "1" };
    const wanted = { prompt: "q", completion: "a", id: "1" };
    expect(renamed(["prompt=question,completion=answer"], row)).toEqual(wanted);
    expect(renamed(["prompt=question", "completion=answer"], row)).toEqual(wanted);
    expect(renamed([], row)).toEqual(row);
  });

  it("swaps, and takes the place of a column with that name", () => {
    expect(renamed(["a=b,b=a"], { a: "1", b: "2" })).toEqual({ a: "2", b: "1" });
    expect(renamed(["text=body"], { text: "old", body: "new" })).toEqual({ text: "new" });
    expect(renamed(["text=body"], { text: "old" })).toEqual({});
  });

  it("takes column names with commas, spaces and equals signs", () => {
    expect(renamed(["text=a, b=c"], { "a, b=c": "x" })).toEqual({ text: "x" });
  });

  it("renames lists too", () => {
    const row = { ...rowOf({}), nonText: { chat: [1] } };
    expect(renamedColumns(["messages=chat"]).rename(row).nonText).toEqual({ messages: [1] });
  });

  it.each([
    [["prompt"], /"prompt" names no column/],
    [["=x"], /names no column/],
    [["a=x,a=y"], /names "a" twice/],
    [["a=x,b=x"], /names "x" twice/],
  ])("refuses %j", (pairs, message) => {
    expect(() => renamedColumns(pairs)).toThrow(message);
  });

  it("names a column that no row has", () => {
    const { requireIn } = renamedColumns(["prompt=questoin"]);
    expect(() => requireIn([rowOf({ question: "q" })])).toThrow(
      /Unknown column "questoin". Did you mean "question"/,
    );
  });
});
