import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { dataFiles, dataRows } from "../../src/data/dataFiles.js";
import { textField } from "../../src/data/rows.js";
import { FacetError } from "../../src/errors.js";
import { collected } from "../support/collected.js";
import { temporaryFolder } from "./temporaryFile.js";

const folder = temporaryFolder();
let made = 0;
/** Writes a file of that name into a folder of its own. */
function write(name: string, content: string | Uint8Array): string {
  const place = join(folder, `${++made}`);
  mkdirSync(place);
  const path = join(place, name);
  writeFileSync(path, content);
  return path;
}
const rows = (name: string, content: string | Uint8Array) =>
  collected(dataRows([write(name, content)]));
const fields = async (name: string, content: string | Uint8Array) =>
  (await rows(name, content)).map((row) => row.fields);

async function messageFor(name: string, content: string | Uint8Array): Promise<string> {
  try {
    await rows(name, content);
  } catch (error) {
    expect(error).toBeInstanceOf(FacetError);
    return (error as FacetError).message;
  }
  throw new Error("nothing was thrown");
}

const people = [
  { prompt: "Who?", completion: "I, “é” 👍" },
  { prompt: "a\nb", completion: 'say "x", please' },
];
const jsonl = people.map((row) => JSON.stringify(row)).join("\n");
const csv = 'prompt,completion\nWho?,"I, “é” 👍"\n"a\nb","say ""x"", please"\n';
const columns = {
  prompt: people.map((row) => row.prompt),
  completion: people.map((row) => row.completion),
};
const parquet = new Uint8Array(
  parquetWriteBuffer({
    columnData: Object.entries(columns).map(([name, data]) => ({ name, data, type: "STRING" })),
  }),
);

describe("every kind of file gives the same rows", () => {
  it.each<[string, string | Uint8Array]>([
    ["a.jsonl", jsonl],
    ["a.ndjson", jsonl],
    ["a.json", jsonl],
    ["no ending", jsonl],
    ["list.json", JSON.stringify(people)],
    ["pretty.json", JSON.stringify(people, null, 2)],
    ["data.json", JSON.stringify({ version: "1", data: people }, null, 2)],
    ["data on one line.json", JSON.stringify({ data: people })],
    ["columns.json", JSON.stringify(columns, null, 1)],
    ["a.csv", csv],
    ["marked.csv", `\ufeff${csv}`],
    ["a.tsv", 'prompt\tcompletion\nWho?\tI, “é” 👍\n"a\nb"\t"say ""x"", please"\n'],
    ["A.PARQUET", parquet],
    ["parquet without an ending", parquet],
  ])("%s", async (name, content) => {
    expect(await fields(name, content)).toEqual(people);
    if (name.toLowerCase().includes("parquet")) return;
    const packed = name.includes(".") ? `${name}.gz` : `${name}.json.gz`;
    expect(await fields(packed, gzipSync(content))).toEqual(people);
  });

  it("text is a row for each document", async () => {
    const text = "First line\nsecond.\n\nStill the first.\n\n\nThe second.\n";
    expect(await fields("a.txt", text)).toEqual([
      { text: "First line\nsecond.\n\nStill the first." },
      { text: "The second." },
    ]);
    expect(await fields("a.md.gz", gzipSync(text))).toHaveLength(2);
  });

  it("whatever pieces a large file is read in", async () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      text: `👍 ${i} ${"é".repeat(i % 50)}`,
    }));
    for (const [name, content] of [
      ["a.jsonl", many.map((row) => JSON.stringify(row)).join("\r\n")],
      ["a.json", JSON.stringify(many)],
      ["a.csv", `text\n${many.map((row) => row.text).join("\n")}`],
    ] as const) {
      expect(await fields(name, content)).toEqual(many);
    }
    const data = many.map((row) => row.text);
    const written = parquetWriteBuffer({ columnData: [{ name: "text", data, type: "STRING" }] });
    expect(await fields("a.parquet", new Uint8Array(written))).toEqual(many);
  });
});

describe("a Parquet file that is damaged or made to harm", () => {
  const refuses = async (bytes: Uint8Array, message: RegExp) => {
    await expect(fields("a.parquet", bytes)).rejects.toThrow(FacetError);
    await expect(fields("a.parquet", bytes)).rejects.toThrow(message);
  };

  it("is refused when it ends early, or its parts are elsewhere", async () => {
    await refuses(parquet.slice(0, -30), /no Parquet file that can be read/);
    await refuses(parquet.slice(40), /no Parquet file that can be read/);
  });
});

it("Parquet holds conversations as lists, and numbers as such", async () => {
  const path = join(import.meta.dirname, "../fixtures/parquet/snappy.parquet");
  const found = await collected(dataRows([path]));
  expect(found[2]).toMatchObject({
    line: 3,
    fields: { prompt: expect.stringMatching(/^Question 2/), raw: "plain" },
    nonText: {
      n: 2,
      messages: [
        { role: "user", content: "2.0", scores: [] },
        { role: "assistant", content: "2.1", scores: [1] },
      ],
    },
  });
  expect(() => textField(found[1]!, "raw")).toThrow(/field "raw" is bytes, but text is needed/);
});

describe("rows know where they come from", () => {
  it("lines of JSON Lines, blank ones counted", async () => {
    const found = await rows("a.jsonl", '\ufeff{"a":"1"}\n\n  \r\n{"a":"2","b":"é\\n"}\r\n');
    expect(found.map((row) => row.line)).toEqual([1, 4]);
  });

  it("lines of a CSV file, rows of others", async () => {
    expect((await rows("a.csv", csv)).map((row) => row.line)).toEqual([2, 4]);
    expect((await rows("a.json", JSON.stringify(people))).map((row) => row.line)).toEqual([1, 2]);
    expect((await rows("a.parquet", parquet)).map((row) => row.line)).toEqual([1, 2]);
  });
});

describe("what is wrong is said, with its place", () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ["a.jsonl", '{"a":"1"}\n{"a":"1" "b":"2"}\n', /a\.jsonl, line 2, column 10: invalid JSON/],
    ["a.jsonl", '[\n  {"a":"1"}\n]\n', /line 1.*one object per line, or call the file \.json/],
    ["a.jsonl", '{"a":"1"}\n[1]', /line 2: expected a JSON object.*found a list/],
    ["a.jsonl", Buffer.from('{"a":"1"}\n{"a":"é"}', "latin1"), /line 2: not valid UTF-8/],
    ["a.jsonl", Buffer.from('\ufeff{"a":"1"}', "utf16le"), /is UTF-16/],
    ["a.jsonl", "\n \n", /holds no rows/],
    ["a.json", '[{"a":"1"},\n3]', /row 2: expected a JSON object.*found a number/],
    ["a.json", '[{"a":"1"},\n{"a" "2"}]', /invalid JSON after row 1/],
    ["a.json", '[{"a":"1"},', /invalid JSON after row 1 \(it ends in the middle/],
    ["a.json", '{"a": [1, 2],\n"b": [1]}', /found an object with a, b/],
    ["a.json", "[]", /holds no rows/],
    ["a.csv", "a,b\n1,2\n3\n", /a\.csv: .*line 3/],
    ["a.csv", 'a,b\n1,"2\n3', /a\.csv: .*[Qq]uote/],
    ["a.csv", "a,a\n1,2\n", /line 1: the column "a" occurs twice/],
    ["a.csv", "a,\n1,2\n", /line 1: a column has no name/],
    ["a.csv", "a,b\n", /holds no rows/],
    ["a.csv", Buffer.from("a\né\n", "latin1"), /not UTF-8/],
    ["a.jsonl.gz", jsonl, /damaged or no gzip file/],
    ["a.jsonl.gz", gzipSync(jsonl).subarray(0, 60), /damaged or no gzip file/],
    ["a.parquet", parquet.subarray(0, 80), /no Parquet file that can be read/],
    ["a.parquet", "PAR1 and nothing else", /no Parquet file that can be read/],
  ])("%s %j", async (name, content, message) => {
    expect(await messageFor(name, content)).toMatch(message);
  });
});

describe("dataFiles", () => {
  it("gives the data files of a folder and those in it, by name", () => {
    const root = join(folder, "root");
    mkdirSync(join(root, "b"), { recursive: true });
    for (const name of ["c.csv", "a.jsonl.gz", "b/x.parquet", "README", "x.parquet.gz"]) {
      writeFileSync(join(root, name), "");
    }
    expect(dataFiles(root)).toEqual(
      ["a.jsonl.gz", "b/x.parquet", "c.csv"].map((n) => join(root, n)),
    );
  });

  it("refuses what is not there, and a folder without data", () => {
    expect(() => dataFiles(join(folder, "missing"))).toThrow(/missing: there is no such file/);
    mkdirSync(join(folder, "empty"));
    expect(() => dataFiles(join(folder, "empty"))).toThrow(/has no data files.*\.jsonl/);
  });
});
