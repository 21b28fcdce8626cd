import { describe, expect, it } from "vitest";
import { readRows, textField } from "../../src/data/rows.js";
import { FacetError } from "../../src/errors.js";
import { fileWriter, temporaryFolder } from "./temporaryFile.js";

const folder = temporaryFolder();
const write = fileWriter(folder);

/** The message of the FacetError that reading this content throws. */
function messageFor(content: string | Uint8Array): string {
  try {
    readRows(write(content));
  } catch (error) {
    expect(error).toBeInstanceOf(FacetError);
    return (error as FacetError).message;
  }
  throw new Error("nothing was thrown");
}

describe("readRows", () => {
  it("gives one row per line with its line number, skipping blank lines", () => {
    const path = write('{"a":"1"}\n\n  \r\n{"a":"2","b":"é\\n"}\r\n');
    expect(readRows(path)).toEqual([
      { file: path, line: 1, fields: { a: "1" }, nonText: {} },
      { file: path, line: 4, fields: { a: "2", b: "é\n" }, nonText: {} },
    ]);
  });

  it("accepts a last line without a newline, and a byte order mark", () => {
    expect(readRows(write('\ufeff{"a":"1"}\n{"a":"2"}')).map((row) => row.fields.a)).toEqual([
      "1",
      "2",
    ]);
  });

  it("keeps fields of other types apart, and takes null for missing", () => {
    const [row] = readRows(write('{"a":"1","n":5,"list":[],"o":{},"t":true,"none":null}'));
    expect(row?.fields).toEqual({ a: "1" });
    expect(row?.nonText).toEqual({
      n: "a number",
      list: "a list",
      o: "an object",
      t: "a boolean",
    });
  });

  it("reads a field named __proto__ as any other", () => {
    const [row] = readRows(write('{"__proto__":"x"}'));
    expect(Object.entries(row?.fields ?? {})).toEqual([["__proto__", "x"]]);
  });

  it("names the line and the column of invalid JSON", () => {
    expect(messageFor('{"a":"1"}\n{"a":"1" "b":"2"}\n')).toMatch(
      /file-\d+, line 2, column 10: invalid JSON/,
    );
  });

  it("recognises one JSON value spread over lines", () => {
    expect(messageFor('[\n  {"a":"1"}\n]\n')).toMatch(/line 1.*one object per line/);
  });

  it.each([
    ["[1]", "a list"],
    ['"text"', "a string"],
    ["null", "null"],
    ["3", "a number"],
  ])("refuses the line %s", (line, found) => {
    expect(messageFor(`{"a":"1"}\n${line}`)).toMatch(
      new RegExp(`line 2: expected a JSON object.*found ${found}`),
    );
  });

  it("names the line that is not UTF-8, and says so of UTF-16", () => {
    expect(messageFor(Buffer.from('{"a":"1"}\n{"a":"é"}', "latin1"))).toMatch(
      /line 2: not valid UTF-8/,
    );
    expect(messageFor(Buffer.from('\ufeff{"a":"1"}', "utf16le"))).toMatch(/is UTF-16/);
  });

  it.each(["", "\n \n", "\ufeff"])("refuses a file without rows: %j", (content) => {
    expect(messageFor(content)).toMatch(/holds no rows/);
  });

  it("says why a file cannot be read", () => {
    expect(() => readRows(`${folder}/missing`)).toThrow(/missing: there is no such file/);
    expect(() => readRows(folder)).toThrow(/it is a folder/);
  });
});

describe("textField", () => {
  it("gives the text, undefined for a missing field, and refuses what is not text", () => {
    const [row] = readRows(write('{"a":"1","n":5}'));
    expect(textField(row!, "a")).toBe("1");
    expect(textField(row!, "toString")).toBeUndefined();
    expect(() => textField(row!, "n")).toThrow(/line 1: field "n" is a number, but text is needed/);
  });
});
