import { readFileSync, statSync } from "node:fs";
import { FacetError } from "../errors.js";

/**
 * Parses JSON and refuses what `JSON.parse` lets pass: the same key twice in one object, of which it
 * would silently keep the last. `where` starts the message of the FacetError.
 */
export function parseStrictJson(text: string, where: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FacetError(`${where}: not valid JSON: ${(error as Error).message}.`);
  }
  const repeated = repeatedKey(text);
  if (repeated !== undefined) {
    throw new FacetError(
      `${where}: the key ${JSON.stringify(repeated)} occurs twice in one object.`,
    );
  }
  return value;
}

/** Reads a UTF-8 file of JSON. Throws FacetError when it is missing, not UTF-8, or not strict JSON. */
export const readStrictJson = (path: string): unknown => parseStrictJson(readText(path), path);

/** As `readStrictJson`, of a file that holds an object. */
export function readJsonObject(path: string): Readonly<Record<string, unknown>> {
  const value = readStrictJson(path);
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw new FacetError(`${path}: not a JSON object.`);
}

/** In bytes. Gemma's tokenizer.json has 33 million; as objects, JSON takes up to fifty times its room. */
export const MAX_JSON = 1 << 26;

/** Reads a UTF-8 file. Throws FacetError when it is missing, larger than 64 MiB, or not UTF-8. */
export function readText(path: string): string {
  let bytes: Uint8Array;
  try {
    const { size } = statSync(path);
    if (size > MAX_JSON) {
      throw new FacetError(
        `${path} has ${size} bytes; no such file of a model has over ${MAX_JSON}.`,
      );
    }
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof FacetError) throw error;
    throw new FacetError(`Cannot read ${path}: ${(error as Error).message}.`);
  }
  return decodeUtf8(bytes, path);
}

/** A value as JSON for a message: cut when it is long; also where JSON.stringify fails, for integers of 64 bits and deep nesting. */
export function excerpt(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}` : part));
  } catch {
    return "a deeply nested value";
  }
  if (text === undefined) return String(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Decodes UTF-8, throwing FacetError at the first byte that is not. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FacetError(`${where}: not valid UTF-8 text.`);
  }
}

/** The first key that an object of a *valid* JSON text repeats. */
function repeatedKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{") open.push(new Set());
    else if (char === "}") open.pop();
    else if (char === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      if (!isFollowedByColon(text, i + 1)) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

function isFollowedByColon(text: string, from: number): boolean {
  let i = from;
  while (text[i] === " " || text[i] === "\t" || text[i] === "\n" || text[i] === "\r") i++;
  return text[i] === ":";
}
