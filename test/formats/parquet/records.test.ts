import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parquetRecords } from "../../../src/formats/parquet/records.js";
import { collected } from "../../support/collected.js";
import { temporaryFolder } from "../temporaryFolder.js";
import { dataPage, type FileOptions, page, parquetFile, plainText } from "./parquetBytes.js";

const fixtures = join(import.meta.dirname, "../../fixtures/parquet");
const expected: Record<string, unknown>[] = JSON.parse(
  readFileSync(join(fixtures, "rows.json"), "utf8"),
);

describe("files of Arrow", () => {
  it.each([
    ...["none", "snappy", "gzip", "brotli", "zstd", "lz4"],
    ...["pages", "plain", "v2", "v2-plain", "delta-length", "delta"],
  ])("%s: values of all kinds, lists and structures", async (name) => {
    const records = await collected(parquetRecords(join(fixtures, `${name}.parquet`)));
    expect(records).toEqual(
      expected.map((row, i) => ({
        ...row,
        // Microseconds since 1970, and bytes that are no text.
        when: Date.UTC(2026, 10, 25, 12, i) * 1000,
        raw: i % 2 === 0 ? "plain" : Uint8Array.of(0xff, 0xfe),
      })),
    );
  });
});

const inFolder = temporaryFolder();
const path = () => inFolder("a.parquet");

function read(pages: number[][], options: FileOptions): Promise<unknown[]> {
  writeFileSync(path(), parquetFile(pages, options));
  return texts();
}
const texts = async () => (await collected(parquetRecords(path()))).map(({ text }) => text);

const two = dataPage(2, 0, [...plainText("one"), ...plainText("two")]);
const dictionary = page({ 1: 2, 7: { 1: 2, 2: 0 } }, [...plainText("one"), ...plainText("two")]);
/** 300 times value 1, in runs of values of one bit. */
const run = [(300 % 128) | 128, 4, 1].map((byte, i) => (i === 0 ? (600 % 128) | 128 : byte));

describe("a file made by hand", () => {
  it("is read as the specification says", async () => {
    expect(await read([two], { rows: 2 })).toEqual(["one", "two"]);
    expect(await read([dictionary, dataPage(300, 8, [1, ...run])], { rows: 300 })).toEqual(
      Array(300).fill("two"),
    );
    // Levels before the values: of eight, side by side, the first and the third are there.
    const levels = [2, 0, 0, 0, 3, 0b101];
    const sparse = dataPage(3, 0, [...levels, ...plainText("a"), ...plainText("c")]);
    expect(await read([sparse], { rows: 3, column: { 3: 1 } })).toEqual(["a", null, "c"]);
  });

  it("is read with lists as older writers have them", async () => {
    const levels = (bits: number) => [2, 0, 0, 0, 3, bits];
    const lists = (repetition: number) =>
      dataPage(4, 0, [
        ...levels(repetition),
        ...levels(0b1011),
        ...["a", "b", "c"].flatMap(plainText),
      ]);
    const options = { rows: 3, data: { 5: 4 }, column: { 3: 2 } };
    expect(await read([lists(0b0010)], options)).toEqual([["a", "b"], [], ["c"]]);
    // The first value goes on with a list that has not begun; rows that are more or fewer than said.
    await expect(read([lists(0b0011)], options)).rejects.toThrow(/different things of one row/);
    await expect(read([lists(0b0110)], options)).rejects.toThrow(/different things of one row/);
    await expect(read([lists(0b0000)], options)).rejects.toThrow(/more values than rows/);
  });

  it.each<[string, RegExp, number[][], FileOptions]>([
    [
      "more rows than its groups",
      /it claims 3 rows, and its groups 2/,
      [two],
      { rows: 2, footer: { 3: 3 } },
    ],
    ["more rows than values", /claims 2 values for 3 rows/, [two], { rows: 3, data: { 5: 2 } }],
    [
      "more values than pages",
      /claims 2 values for 3 rows|ends within a header/,
      [two],
      { rows: 3 },
    ],
    ["more values than rows", /has more values than it says/, [two], { rows: 1 }],
    [
      "a page with fewer values than it claims",
      /ends before its last value/,
      [dataPage(3, 0, two)],
      { rows: 3 },
    ],
    [
      "more rows than bytes can mean",
      /it claims 2000000 rows in \d+ bytes/,
      [dictionary, dataPage(2e6, 8, [0])],
      { rows: 2e6 },
    ],
    ["fewer than no rows", /less than no rows/, [two], { rows: -1 }],
    ["data elsewhere", /in another file/, [two], { rows: 2, chunk: { 1: "/etc/passwd" } }],
    ["no place for its data", /where a column is/, [two], { rows: 2, chunk: { 3: undefined } }],
    ["a column before its start", /lies outside/, [two], { rows: 2, data: { 9: -4 } }],
    ["a column after its end", /lies outside/, [two], { rows: 2, data: { 7: 9000 } }],
    [
      "a compression that is not known",
      /compressed in a way \(3\)/,
      [two],
      { rows: 2, data: { 4: 3 } },
    ],
    ["an encoding that is not known", /encoded in a way \(4\)/, [dataPage(2, 4, [])], { rows: 2 }],
    ["no dictionary", /a dictionary that is not there/, [dataPage(2, 8, [1, 4, 1])], { rows: 2 }],
    [
      "a value beyond its dictionary",
      /value 3 of a dictionary of 2/,
      [dictionary, dataPage(2, 8, [2, 4, 3])],
      { rows: 2 },
    ],
    [
      "a dictionary cut off",
      /ends before its last value/,
      [page({ 1: 2, 7: { 1: 2e9, 2: 0 } }, plainText("one"))],
      { rows: 2 },
    ],
    [
      "a page beyond its column",
      /goes beyond its column/,
      [page({ 1: 0, 3: 900, 5: { 1: 2, 2: 0, 3: 3 } }, [])],
      { rows: 2 },
    ],
    [
      "a page that unpacks to a thousand times its size",
      /a page of 3 bytes would unpack to 69000/,
      [page({ 1: 0, 2: 69_000, 5: { 1: 2, 2: 0, 3: 3 } }, [1, 2, 3])],
      { rows: 2, data: { 4: 2 } },
    ],
    [
      "levels beyond their page",
      /ends before its levels/,
      [dataPage(2, 0, [9, 0, 0, 0, 1])],
      { rows: 2, column: { 3: 1 } },
    ],
    [
      "columns over each other",
      /lie over each other/,
      [two],
      {
        rows: 2,
        footer: {
          3: 4,
          4: [1, 2].map(() => ({
            1: [{ 3: { 1: 6, 3: ["text"], 4: 0, 5: 2, 7: 90, 9: 4 } }],
            3: 2,
          })),
        },
      },
    ],
    [
      "a column twice",
      /"text" occurs twice/,
      [two],
      {
        rows: 2,
        footer: {
          2: [
            { 4: "", 5: 2 },
            { 1: 6, 4: "text" },
            { 1: 6, 4: "text" },
          ],
        },
      },
    ],
    [
      "columns below that are not there",
      /cut off/,
      [two],
      { rows: 2, column: { 5: 2_000_000_000 } },
    ],
  ])("is refused with %s", async (_, message, pages, options) => {
    await expect(read(pages, options)).rejects.toThrow(message);
  });

  it("is refused when its columns claim more values together than its bytes can mean", async () => {
    const rows = 15_000;
    const names = Array.from({ length: 30 }, (_, i) => `c${i}`);
    const chunks = names.map((name) => ({
      3: { 1: 6, 3: [name], 4: 0, 5: rows, 7: 0, 9: 4 },
    }));
    const columns = names.map((name) => ({ 1: 6, 3: 1, 4: name }));
    const footer = { 2: [{ 4: "schema", 5: 30 }, ...columns], 4: [{ 1: chunks, 3: rows }] };
    await expect(read([], { rows, footer })).rejects.toThrow(
      /its columns claim 450000 values in \d+ bytes/,
    );
  });

  it("repeats a value only as often as there are rows, whatever a run claims", async () => {
    const forever = [1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1];
    expect(await read([dictionary, dataPage(3, 8, forever)], { rows: 3 })).toEqual(
      Array(3).fill("two"),
    );
    // Eight values a group, of no bits.
    const packed = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    expect(await read([dictionary, dataPage(3, 8, packed)], { rows: 3 })).toEqual(
      Array(3).fill("one"),
    );
  });

  it("is refused where texts repeat the one before beyond measure", async () => {
    // 300 lengths of nothing but their first, 0 and then 0 each: blocks of 128 in one part, all of no bits.
    const equal = (first: number, step: number) => [
      ...[0x80, 1, 1, 0xac, 2, first, step],
      ...[0, step, 0, step, 0],
    ];
    const prefixes = equal(0, 2);
    const long = [...prefixes, ...equal(2, 0), ...Buffer.from("x".repeat(300))];
    const found = await read([dataPage(300, 7, long)], { rows: 300 });
    expect(found[299]).toBe("x".repeat(300));
    await expect(
      read([dataPage(300, 7, [...equal(0, 4), ...equal(2, 0), ...Buffer.from("x".repeat(300))])], {
        rows: 300,
      }),
    ).rejects.toThrow(/repeats more than it has/);
    await expect(read([dataPage(2, 7, long)], { rows: 2 })).rejects.toThrow(
      /300 numbers for 2 values/,
    );
  });

  it("is refused when it is cut off, or no such file", async () => {
    const whole = parquetFile([two], { rows: 2 });
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path(), whole.subarray(0, length));
      await expect(texts()).rejects.toThrow(/does not end as one/);
    }
    const [lie] = [Uint8Array.from(whole)];
    lie!.set([255, 255, 255, 255], whole.length - 8);
    writeFileSync(path(), lie!);
    await expect(texts()).rejects.toThrow(/footer is longer than the file/);
  });

  it("is refused with structs that are nested too deep", async () => {
    const deep = (levels: number): object => (levels === 0 ? {} : { 1: deep(levels - 1) });
    await expect(read([two], { rows: 2, footer: { 9: deep(100) as never } })).rejects.toThrow(
      /nested too deep/,
    );
  });
});
