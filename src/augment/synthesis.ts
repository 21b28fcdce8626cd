import type { DuplicateFinder } from "../data/duplicates.js";
import { pairFields } from "../data/pairs.js";
import { rowFormat } from "../data/rowFormat.js";
import { type Place, placeOf, type Row } from "../data/rows.js";
import { FacetError } from "../errors.js";
import { createRandom } from "../random.js";
import type { ChatRequest } from "./chatCompletions.js";

export interface SynthesisOptions {
  /** New rows that are wanted. */
  readonly count: number;
  readonly seed: number;
  /** Asks the model. */
  readonly ask: (request: ChatRequest) => Promise<string>;
  /** Knows the rows that there are; new ones that are like one of them are left out. */
  readonly finder: DuplicateFinder;
  readonly onProgress?: (done: number) => void;
}

export interface Synthesis {
  readonly rows: readonly {
    readonly fields: Readonly<Record<string, string>>;
    readonly from: readonly Place[];
  }[];
  readonly requests: number;
  /** Left out because they were like a row that there was. */
  readonly duplicates: number;
  /** Answers, or rows in them, that were not what was asked for. */
  readonly malformed: number;
}

/** Rows shown to the model, and rows asked for, in a request. */
const SHOWN = 4;
const WANTED = 5;
/** Requests in a row that bring nothing new before it is given up. */
const PATIENCE = 8;

const SYSTEM =
  "You write training data. You are given examples and answer with new ones in the same form: a JSON list of objects " +
  "with the same keys, and nothing else. The new examples are about other things than the given ones, differ from one " +
  "another, are correct and complete.";

/**
 * Asks a model for new rows after the pattern of random ones, until there are enough. Rows with other fields, empty
 * ones and near duplicates are counted and left out. Throws a FacetError when request after request brings nothing new,
 * and for rows that have no prompt and completion.
 */
export async function synthesize(
  rows: readonly Row[],
  options: SynthesisOptions,
): Promise<Synthesis> {
  const { count, seed, ask, finder } = options;
  const names = fieldNames(rows);
  const pool = rows.filter((row) => names.every((name) => row.fields[name] !== undefined));
  const made: { fields: Record<string, string>; from: Place[] }[] = [];
  let [requests, duplicates, malformed, vain] = [0, 0, 0, 0];
  while (made.length < count) {
    const random = createRandom({ seed, stream: "augment", index: requests });
    const shown = Array.from({ length: SHOWN }, () => pool[random.below(pool.length)]!);
    const answer = await ask({
      system: SYSTEM,
      user: requestFor(shown, names),
      seed: seed + requests,
    });
    requests += 1;
    const before = made.length;
    const found = objectsIn(answer);
    if (found === undefined) malformed += 1;
    for (const object of found ?? []) {
      if (made.length === count) break;
      const fields = fieldsOf(object, names);
      if (fields === undefined) malformed += 1;
      else if (finder.add(textOf(fields, names), { file: "synthesis", line: made.length + 1 })) {
        duplicates += 1;
      } else made.push({ fields, from: [...new Set(shown)].map(placeOf) });
    }
    options.onProgress?.(made.length);
    vain = made.length > before ? 0 : vain + 1;
    if (vain === PATIENCE) {
      throw new FacetError(
        `The model brought no new row in ${PATIENCE} requests (${malformed} malformed, ${duplicates} like others so far). ` +
          "Use a larger model, a higher --temperature, or ask for fewer rows.",
      );
    }
  }
  return { rows: made, requests, duplicates, malformed };
}

/** The text by which rows are compared. */
export const textOf = (
  fields: Readonly<Record<string, string>>,
  names: readonly string[],
): string => names.map((name) => fields[name] ?? "").join("\n");

/** The fields that make up a row of these rows' format. Throws a FacetError for a format without prompt and completion. */
export function fieldNames(rows: readonly Row[]): string[] {
  const format = rowFormat(rows);
  const pair = pairFields[format];
  if (pair === undefined || format === "preference") {
    throw new FacetError(
      `${rows[0]!.file}: rows can be synthesised after a prompt and a completion; these are ${format} rows. Name the columns by --columns prompt=…,completion=….`,
    );
  }
  return [pair.prompt, ...(pair.input === undefined ? [] : [pair.input]), pair.completion];
}

function requestFor(shown: readonly Row[], names: readonly string[]): string {
  const examples = shown.map((row) =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, row.fields[name]]))),
  );
  return `Examples:\n[\n${examples.join(",\n")}\n]\n\nWrite ${WANTED} new examples.`;
}

/** The objects in an answer: a JSON list, perhaps in a code block or between words, or an object per line. */
function objectsIn(answer: string): unknown[] | undefined {
  const from = answer.indexOf("[");
  const to = answer.lastIndexOf("]");
  const list = from < 0 || to < from ? undefined : parsed(answer.slice(from, to + 1));
  if (Array.isArray(list)) return list;
  const lines = answer.split("\n").flatMap((line) => parsed(line.trim().replace(/,$/, "")) ?? []);
  return lines.length > 0 ? lines : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The fields of a new row; undefined unless all are text and all but a passage hold something. */
function fieldsOf(object: unknown, names: readonly string[]): Record<string, string> | undefined {
  if (typeof object !== "object" || object === null) return undefined;
  const entries = names.map((name) => [name, (object as Record<string, unknown>)[name]] as const);
  const [prompt, completion] = [entries[0]![1], entries.at(-1)![1]];
  if (typeof prompt !== "string" || typeof completion !== "string") return undefined;
  if (prompt.trim() === "" || completion.trim() === "") return undefined;
  const passages = entries.map(([name, value]) => [name, typeof value === "string" ? value : ""]);
  return Object.fromEntries(passages) as Record<string, string>;
}
