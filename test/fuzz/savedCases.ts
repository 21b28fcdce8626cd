import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Files } from "./memoryFolder.js";

/** Inputs that were once read wrongly, one folder each, below the name of the format. */
const folder = fileURLToPath(new URL("regressions", import.meta.url));

/** Saves an input, and says where. */
export function saveCase(format: string, files: Files): string {
  const digest = createHash("sha256");
  for (const [name, bytes] of files) digest.update(name).update(bytes);
  const place = join(folder, format, digest.digest("hex").slice(0, 12));
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(place, name)), { recursive: true });
    writeFileSync(join(place, name), bytes);
  }
  return place;
}

/** The saved inputs of a format, by name. */
export function savedCases(format: string): Map<string, Files> {
  const place = join(folder, format);
  if (!existsSync(place)) return new Map();
  return new Map(readdirSync(place).map((name) => [name, readFiles(join(place, name))]));
}

/** All files below a folder, or only those of `names`. */
export function readFiles(place: string, names?: readonly string[]): Files {
  const entries = readdirSync(place, { recursive: true, withFileTypes: true });
  const all = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(place.length + 1));
  const wanted = names ?? all.sort();
  return new Map(wanted.map((name) => [name, Uint8Array.from(readFileSync(join(place, name)))]));
}
