import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { dataRows } from "../../../src/data/dataFiles.js";
import { expectThat, type FuzzedFormat } from "../format.js";
import type { Files } from "../memoryFolder.js";
import { fileOf } from "../tinyModel.js";

/** Reads every row of the file, which is a stream. */
async function read(folder: string, file: string): Promise<void> {
  let rows = 0;
  for await (const { fields, line } of dataRows([join(folder, file)])) {
    rows++;
    expectThat(Number.isSafeInteger(line) && line > 0, "a line");
    expectThat(
      Object.values(fields).every((value) => typeof value === "string"),
      "text",
    );
  }
  expectThat(rows > 0, "rows");
}

/** A format of files of one name. */
const dataFormat = (name: string, file: string, seeds: () => Files[]): FuzzedFormat => ({
  ...{ name, seeds },
  read: (folder) => read(folder, file),
});

const rows = [
  { instruction: "a", response: "b", more: [1, { a: null }] },
  { instruction: "é\n", response: 'say "x", please', more: 2 },
  { instruction: "", response: "👍 d", more: null },
];
const columns = {
  instruction: rows.map(({ instruction }) => instruction),
  response: rows.map(({ response }) => response),
};

export const jsonData = dataFormat("json", "data.json", () =>
  [
    ...[rows, { data: rows, version: 1 }, columns].map((value) => JSON.stringify(value)),
    rows.map((row) => JSON.stringify(row)).join("\n"),
  ].map((text) => fileOf("data.json", text)),
);

export const csvData = dataFormat("csv", "data.csv", () =>
  [
    'instruction,response\na,b\n"é, ""x""\n",c\n',
    "text\r\none\r\ntwo\r\n",
    "\uFEFFprompt,completion,n\na,b,1\n",
  ].map((text) => fileOf("data.csv", text)),
);

export const gzipData = dataFormat("gzip", "data.jsonl.gz", () => [
  fileOf("data.jsonl.gz", gzipSync(rows.map((row) => JSON.stringify(row)).join("\n"))),
]);

const fixtures = new URL("../../fixtures/parquet/", import.meta.url);

/** One file whose pages are small enough to be changed often, and those of Arrow in every compression and encoding. */
export const parquetData = dataFormat("parquet", "data", () => [
  ...(["SNAPPY", "UNCOMPRESSED"] as const).map((codec) => {
    const columnData = Object.entries(columns).map(([name, data]) => ({
      ...{ name, data, type: "STRING" as const },
    }));
    return fileOf("data", new Uint8Array(parquetWriteBuffer({ columnData, codec })));
  }),
  ...["gzip", "brotli", "zstd", "lz4", "pages", "v2", "delta", "delta-length"].map((name) =>
    fileOf("data", readFileSync(new URL(`${name}.parquet`, fixtures))),
  ),
]);
