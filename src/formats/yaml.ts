import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { FacetError } from "../errors.js";
import { readText } from "./strictJson.js";

/** An object read from a file that people write, with the line of each of its keys. */
export interface YamlObject {
  readonly values: Readonly<Record<string, unknown>>;
  /** Counted from 1. */
  lineOf(key: string): number;
}

/** More than any configuration has; a parse tree takes up to a hundred times the room of its text. */
const MAX_YAML = 1 << 20;

/**
 * Reads a file of YAML 1.2, of which JSON is a part, that holds one object. Throws FacetError, with the line, when it
 * is no such file, is over 1 MiB, or repeats a key. Tags are not resolved, and aliases expand to a hundredfold at most.
 */
export function readYamlObject(path: string): YamlObject {
  const text = readText(path);
  if (text.length > MAX_YAML) {
    throw new FacetError(`${path} has ${text.length} characters; a configuration has fewer.`);
  }
  const lineCounter = new LineCounter();
  const lineAt = (offset: number) => lineCounter.linePos(offset).line;
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw new FacetError(`${path}, line ${lineAt(problem.pos[0])}: ${problem.message}.`);
  }
  const root = document.contents;
  if (!isMap(root)) {
    throw new FacetError(`${path} must hold options, one "name: value" a line, or a JSON object.`);
  }
  const lines = new Map<string, number>();
  for (const { key } of root.items) {
    if (!isScalar(key) || typeof key.value !== "string") {
      const at = isScalar(key) ? lineAt(key.range?.[0] ?? 0) : 1;
      throw new FacetError(`${path}, line ${at}: the name of an option must be text.`);
    }
    lines.set(key.value, lineAt(key.range?.[0] ?? 0));
  }
  let values: Record<string, unknown>;
  try {
    values = document.toJS() as Record<string, unknown>;
  } catch (error) {
    throw new FacetError(`${path}: ${(error as Error).message}.`);
  }
  return { values, lineOf: (key) => lines.get(key) ?? 1 };
}
