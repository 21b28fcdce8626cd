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
