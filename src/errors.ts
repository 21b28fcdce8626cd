import { closest, distance } from "fastest-levenshtein";

/**
 * An error that the user can act on: it says what happened, where, and what to do.
 * The command line prints its message without a stack trace; anything else is a bug in Facet.
 */
export class FacetError extends Error {
  override name = "FacetError";
}

/** The error for a name that is not one of `known`, naming the nearest one when it is close. */
export function unknownName(kind: string, name: string, known: Iterable<string>): FacetError {
  const names = [...known];
  const nearest = names.length > 0 ? closest(name, names) : undefined;
  const isNear = (other: string) =>
    other.startsWith(name) || distance(name, other) <= Math.max(2, name.length / 3);
  const near = nearest !== undefined && isNear(nearest);
  const hint = near ? ` Did you mean "${nearest}"?` : "";
  return new FacetError(`Unknown ${kind} "${name}".${hint} Known: ${names.join(", ")}.`);
}
