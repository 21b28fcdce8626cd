import { z } from "zod";
import { FacetError, unknownName } from "./errors.js";

/**
 * The value as the schema has it, defaults filled in. Throws a FacetError that names the key and
 * what it should be; an unknown key is refused with the nearest known one.
 */
export function validated<S extends z.ZodObject>(
  schema: S,
  value: unknown,
  what: string,
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    if (issue.code === "unrecognized_keys" && issue.path.length === 0) {
      throw unknownName(`${what} option`, issue.keys[0]!, Object.keys(schema.shape));
    }
  }
  throw new FacetError(`Invalid ${what}:\n${z.prettifyError(parsed.error)}`);
}

/**
 * A list, or an object's values, of which each must be what `isItem` takes, and one error for all of them. zod's own
 * keeps an error for every item: a damaged file of a megabyte would fill a gigabyte with them.
 */
export const listOf = <T>(isItem: (item: unknown) => item is T, message: string) =>
  z.custom<T[]>((value) => Array.isArray(value) && value.every(isItem), message);

export const recordOf = <T>(isItem: (item: unknown) => item is T, message: string) =>
  z.custom<Record<string, T>>(
    (value) =>
      typeof value === "object" &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every(isItem),
    message,
  );

export const isString = (value: unknown): value is string => typeof value === "string";

export const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);

export const isCount = (value: unknown): value is number => isInteger(value) && value >= 0;

export const isPositive = (value: unknown): value is number =>
  typeof value === "number" && value > 0 && Number.isFinite(value);
