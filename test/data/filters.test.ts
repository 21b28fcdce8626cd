import { describe, expect, it } from "vitest";
import { filterRows } from "../../src/data/filters.js";
import { rowOf } from "./rowOf.js";

describe("filterRows", () => {
  const rows = [
    rowOf({ q: "1", context: "" }, 1),
    rowOf({ q: "2", context: "a passage" }, 2),
    rowOf({ q: "3" }, 3),
    rowOf({ q: "4", context: " \n" }, 4),
  ];

  it("no-context keeps rows whose context is empty or missing", () => {
    expect(filterRows(rows, ["no-context"]).map((row) => row.line)).toEqual([1, 3, 4]);
  });

  it("no filter keeps all", () => {
    expect(filterRows(rows, [])).toEqual(rows);
  });

  it("names the nearest filter for an unknown one", () => {
    expect(() => filterRows(rows, ["no-contxt"])).toThrow(/Did you mean "no-context"/);
    expect(() => filterRows(rows, ["toString"])).toThrow(/Unknown filter/);
  });

  it("refuses to leave nothing", () => {
    expect(() => filterRows([rows[1]!], ["no-context"])).toThrow(/no-context removed all 1/);
  });
});
