import { readFileSync } from "node:fs";
import { FacetError } from "../errors.js";
import { unreadable } from "./unreadable.js";

/** One record of a data file. */
export interface Row {
  /** Where the row comes from, for messages. */
  readonly file: string;
  /** Line number in the file, from 1. */
  readonly line: number;
  /** The fields that hold text. A field whose value is null counts as missing. */
  readonly fields: Readonly<Record<string, string>>;
  /** The fields that hold something else, by the JSON type found: an error only if a template needs one. */
  readonly nonText: Readonly<Record<string, string>>;
}

/**
 * The rows of a JSON Lines file: one object per line, UTF-8 with or without a byte order mark; blank lines
 * are skipped and counted in the line numbers.
 * Throws a FacetError with file and line for anything that is not that, and for a file without rows.
 */
export function readRows(path: string): Row[] {
  const bytes = readBytes(path);
  const rows: Row[] = [];
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    line += 1;
    // Only a mark at the very start of the file is dropped.
    const text = decode(bytes.subarray(start, end), path, line, start > 0);
    if (text.trim() !== "") rows.push(parseRow(text, path, line));
    start = end + 1;
  }
  if (rows.length === 0) {
    throw new FacetError(`${path} holds no rows. Expected JSON Lines: one JSON object per line.`);
  }
  return rows;
}

/**
 * The text of a field that is needed, or undefined where the row lacks it.
 * Throws a FacetError with file and line when the field holds a number, list, object or boolean.
 */
export function textField(row: Row, field: string): string | undefined {
  if (Object.hasOwn(row.nonText, field)) {
    throw new FacetError(
      `${row.file}, line ${row.line}: field "${field}" is ${row.nonText[field]}, but text is needed. Write it as a JSON string.`,
    );
  }
  return Object.hasOwn(row.fields, field) ? row.fields[field] : undefined;
}

function readBytes(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0;
  if (mark === 0xfffe || mark === 0xfeff) {
    throw new FacetError(`${path} is UTF-16 text. Save it as UTF-8.`);
  }
  return bytes;
}

function decode(bytes: Buffer, path: string, line: number, keepMark: boolean): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: keepMark }).decode(bytes);
  } catch (cause) {
    throw new FacetError(`${path}, line ${line}: not valid UTF-8. Save the file as UTF-8.`, {
      cause,
    });
  }
}

function parseRow(text: string, file: string, line: number): Row {
  const value = parseJson(text, file, line);
  const type = jsonType(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FacetError(
      `${file}, line ${line}: expected a JSON object such as {"text": "…"}, found ${type}.`,
    );
  }
  const texts: [string, string][] = [];
  const other: [string, string][] = [];
  for (const [name, field] of Object.entries(value)) {
    if (typeof field === "string") texts.push([name, field]);
    else if (field !== null) other.push([name, jsonType(field)]);
  }
  // fromEntries, unlike assignment, is safe for a field named __proto__.
  return { file, line, fields: Object.fromEntries(texts), nonText: Object.fromEntries(other) };
}

function parseJson(text: string, file: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const position = /at position (\d+)/.exec(message)?.[1];
    const column = position === undefined ? "" : `, column ${Number(position) + 1}`;
    const hint = /^\s*[[{]\s*$/.test(text)
      ? " It looks like one JSON value spread over several lines; write one object per line instead."
      : "";
    throw new FacetError(`${file}, line ${line}${column}: invalid JSON (${message}).${hint}`, {
      cause,
    });
  }
}

function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
