import { FacetError } from "../errors.js";
import type { StoredTensor } from "./storedTensor.js";
import { excerpt } from "./strictJson.js";

/** The head of a classifier in PEFT's folders, as Transformers names it. */
export const headName = "score.weight";

/** Where the names of the classes are: PEFT has no place for them, and its readers pass over this one. */
const KEY = "facet.labels";

/** What the file of a classifier's tensors says besides: the names of its classes. */
export const labelsMetadata = (labels: readonly string[] | undefined): Record<string, string> =>
  labels === undefined ? {} : { [KEY]: JSON.stringify(labels) };

/**
 * The names of the classes of a head: those in the file, else their numbers from 0, as of other tools' adapters. Undefined
 * without a head. Throws a FacetError for a head that is no matrix, and for names that are not one for each of its rows.
 */
export function readLabels(
  file: string,
  whole: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
): readonly string[] | undefined {
  const head = whole.get(headName);
  if (head === undefined) return undefined;
  const [classes, width] = head.shape;
  if (head.shape.length !== 2 || !classes || !width) {
    throw new FacetError(`${file}: tensor "${headName}" is [${head.shape}], not a matrix.`);
  }
  const text = Object.hasOwn(metadata, KEY) ? metadata[KEY]! : undefined;
  if (text === undefined) return Array.from({ length: classes }, (_, i) => String(i));
  const names = parsed(text);
  const fits =
    Array.isArray(names) &&
    names.length === classes &&
    names.every((name) => typeof name === "string") &&
    new Set(names).size === classes;
  if (fits) return names as string[];
  throw new FacetError(
    `${file}: ${KEY} is ${excerpt(text)}, not a list of ${classes} different names for the rows of ${headName}.`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
