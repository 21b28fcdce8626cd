import { JSONParser } from "@streamparser/json";
import { FacetError } from "../errors.js";
import { type Place, type Row, rowOf } from "./rows.js";
import { fileText } from "./textFile.js";

/** An object at the top is held in memory as a whole, up to this many characters. */
const LARGEST_OBJECT = 2 ** 28;

/**
 * The rows of a JSON file: a list of objects, read piece by piece; or one object, whose only list of objects they are
 * (`{"data": [{…}, …]}`), or whose lists are the columns (`{"prompt": […], "completion": […]}`).
 * Throws a FacetError with the row for anything else.
 */
export async function* jsonFileRows(path: string): AsyncGenerator<Row> {
  const pieces = fileText(path);
  try {
    // Leaving a loop over the pieces would end them.
    let head = "";
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
      head += next.value;
      if (head.trim() !== "") break;
    }
    if (head.trim() === "") return;
    if (head.trimStart().startsWith("[")) yield* listRows(head, pieces, path);
    else yield* objectRows(await whole(head, pieces, path), path);
  } finally {
    await pieces.return(undefined);
  }
}

const rowAt = (file: string, line: number): Place => ({ file, line, unit: "row" });

async function* listRows(
  head: string,
  rest: AsyncIterable<string>,
  path: string,
): AsyncGenerator<Row> {
  const found: unknown[] = [];
  const failures: Error[] = [];
  let ended = false;
  const parser = new JSONParser({ paths: ["$.*"], keepStack: false });
  parser.onValue = ({ value }) => {
    found.push(value);
  };
  parser.onError = (error) => {
    failures.push(error);
  };
  parser.onEnd = () => {
    ended = true;
  };
  let row = 0;
  const invalid = (reason: string) =>
    new FacetError(`${path}: invalid JSON after row ${row} (${reason}).`);
  const rows = function* () {
    for (const value of found.splice(0)) yield rowOf(value, rowAt(path, ++row));
    if (failures[0] !== undefined) throw invalid(failures[0].message);
  };
  parser.write(head);
  yield* rows();
  for await (const piece of rest) {
    if (ended && piece.trim() === "") continue;
    parser.write(piece);
    yield* rows();
  }
  if (!ended) throw invalid("it ends in the middle of the list");
}

async function whole(head: string, rest: AsyncIterable<string>, path: string): Promise<unknown> {
  let text = head;
  for await (const piece of rest) {
    text += piece;
    if (text.length > LARGEST_OBJECT) {
      throw new FacetError(
        `${path} is one JSON object of more than ${LARGEST_OBJECT} characters. Write a list of objects, or one object per line.`,
      );
    }
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FacetError(`${path}: invalid JSON (${(cause as Error).message}).`, { cause });
  }
}

function* objectRows(value: unknown, path: string): Generator<Row> {
  const members = typeof value === "object" && value !== null ? Object.entries(value) : [];
  const lists = members.filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
  const isObject = (item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item);
  const tables = lists.filter(([, list]) => list.length > 0 && list.every(isObject));
  if (tables.length === 1) {
    for (const [i, item] of tables[0]![1].entries()) yield rowOf(item, rowAt(path, i + 1));
    return;
  }
  const count = lists[0]?.[1].length ?? 0;
  const columns =
    lists.length === members.length && lists.every(([, list]) => list.length === count);
  if (!columns || tables.length > 1 || count === 0) {
    throw new FacetError(
      `${path}: expected a list of objects, {"data": [{…}, …]}, or an object of columns of one length; found an object with ${
        members
          .map(([name]) => name)
          .slice(0, 8)
          .join(", ") || "nothing"
      }.`,
    );
  }
  for (let i = 0; i < count; i++) {
    yield rowOf(
      Object.fromEntries(lists.map(([name, list]) => [name, list[i]])),
      rowAt(path, i + 1),
    );
  }
}
