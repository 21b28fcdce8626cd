import { existsSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { withFile } from "../formats/exactRead.js";
import { csvRows } from "./csvFile.js";
import { jsonFileRows } from "./jsonFile.js";
import { jsonLinesRows } from "./jsonLines.js";
import { parquetRows } from "./parquetFile.js";
import { plainTextRows } from "./plainText.js";
import type { Row } from "./rows.js";
import { fileText } from "./textFile.js";
import { unreadable } from "./unreadable.js";

/** How each kind of file is read, by the ending of its name. */
const readers: Record<string, (path: string) => AsyncGenerator<Row>> = {
  ".jsonl": jsonLinesRows,
  ".ndjson": jsonLinesRows,
  ".json": jsonFileOrLines,
  ".csv": (path) => csvRows(path, ","),
  ".tsv": (path) => csvRows(path, "\t"),
  ".parquet": parquetRows,
  ".txt": plainTextRows,
  ".md": plainTextRows,
};

/** Characters of a line that are read to see what a file is. */
const LONGEST_LINE = 2 ** 22;

/** The ending by which a file's rows are read, .gz aside; undefined for others. */
function ending(path: string): string | undefined {
  const name = path.toLowerCase().replace(/\.gz$/, "");
  const found = Object.keys(readers).find((each) => name.endsWith(each));
  return found === ".parquet" && path.toLowerCase().endsWith(".gz") ? undefined : found;
}

/**
 * The files behind a path: the file itself, or all data files in a folder and the folders in it, in the order of their names.
 * Throws a FacetError for a path where nothing is, and for a folder without data files.
 */
export function dataFiles(path: string): string[] {
  if (!existsSync(path)) throw unreadable(path, Object.assign(new Error(), { code: "ENOENT" }));
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path, { recursive: true, encoding: "utf8" })
    .map((name) => join(path, name))
    .filter(
      (file) => ending(file) !== undefined && statSync(file, { throwIfNoEntry: false })?.isFile(),
    )
    .sort();
  if (files.length > 0) return files;
  throw new FacetError(
    `The folder ${path} has no data files. Known: ${Object.keys(readers).join(", ")}, each but .parquet also with .gz.`,
  );
}

/**
 * The rows of data files, one file after the other, read as streams: JSON Lines, JSON, separated values with a comma or
 * tab, Parquet, plain text; but Parquet also compressed by gzip. A file of another name is read as its first bytes
 * say, Parquet or JSON; else as JSON Lines.
 * Throws a FacetError with file and line for what cannot be read, and for files without any row.
 */
export async function* dataRows(files: readonly string[]): AsyncGenerator<Row> {
  let count = 0;
  for (const file of files) {
    const read = readers[ending(file) ?? (isParquet(file) ? ".parquet" : ".json")]!;
    for await (const row of read(file)) {
      count += 1;
      yield row;
    }
  }
  if (count > 0) return;
  throw new FacetError(
    `${files.join(", ")} holds no rows. Expected JSON Lines, one JSON object per line; or JSON, CSV, Parquet or text.`,
  );
}

/** Many files that are called .json have an object per line. */
async function* jsonFileOrLines(path: string): AsyncGenerator<Row> {
  const [line, rest] = await firstLine(path);
  yield* line.startsWith("{") && isObject(line) && (rest !== "" || !/":\s*\[\s*[{"]/.test(line))
    ? jsonLinesRows(path)
    : jsonFileRows(path);
}

/** The first line that is not blank, without white space around it, and what is known of the text after it. */
async function firstLine(path: string): Promise<[string, string]> {
  let text = "";
  for await (const piece of fileText(path)) {
    text = (text + piece).trimStart();
    const end = text.indexOf("\n");
    const rest = text.slice(end + 1).trim();
    if (end >= 0 && rest !== "") return [text.slice(0, end).trim(), rest];
    if (text.length > LONGEST_LINE) break;
  }
  return [text.trim(), ""];
}

function isObject(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function isParquet(path: string): boolean {
  const bytes = Buffer.alloc(4);
  return withFile(
    path,
    (file) => readSync(file, bytes, 0, 4, 0) === 4 && bytes.toString("latin1") === "PAR1",
  );
}
