import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { dataRows } from "../../../src/data/dataFiles.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import { fileOf } from "../tinyModel.js";

/** Reads every row of a file, which is a stream. */
const rowsOf =
  (file: string): FuzzedFormat["read"] =>
  async (folder) => {
    let rows = 0;
    for await (const { fields, line } of dataRows([join(folder, file)])) {
      rows++;
      expectThat(line > 0, "a line");
      expectThat(
        Object.values(fields).every((value) => typeof value === "string"),
        "text",
      );
    }
    expectThat(rows > 0, "rows");
  };

const columns = { instruction: ["a", "é\n", ""], response: ["b", "c", "👍 d"] };

export const csvData: FuzzedFormat = {
  name: "csv",
  onDisk: true,
  seeds: () =>
    [
      'instruction,response\na,b\n"é, ""x""\n",c\n',
      "text\r\none\r\ntwo\r\n",
      "\uFEFFprompt,completion,n\na,b,1\n",
    ].map((text) => fileOf("data.csv", text)),
  read: rowsOf("data.csv"),
};

const rows = columns.instruction.map((instruction, i) => ({
  instruction,
  response: columns.response[i],
  more: [1, { a: null }],
}));

export const jsonData: FuzzedFormat = {
  name: "json",
  onDisk: true,
  seeds: () =>
    [rows, { data: rows, version: 1 }, columns].map((value) =>
      fileOf("data.json", JSON.stringify(value)),
    ),
  read: rowsOf("data.json"),
};

export const gzipData: FuzzedFormat = {
  name: "gzip",
  onDisk: true,
  seeds: () => [
    fileOf("data.jsonl.gz", gzipSync(rows.map((row) => JSON.stringify(row)).join("\n"))),
  ],
  read: rowsOf("data.jsonl.gz"),
};
