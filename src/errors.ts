import { closest, distance } from "fastest-levenshtein";

/**
 * An error that the user can act on: it says what happened, where, and what to do.
 * The command line prints its message without a stack trace; anything else is a bug in Facet.
 */
export class FacetError extends Error {
  override name = "FacetError";
}

/** The one of `known` that begins with `name`, or is most like it, when it is close. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  const longer = names.find((candidate) => candidate.startsWith(name));
  if (longer !== undefined || names.length === 0) return longer;
  const nearest = closest(name, names);
  return distance(name, nearest) <= Math.max(2, name.length / 3) ? nearest : undefined;
}

/** The error for a name that is not one of `known`, naming the nearest one when it is close. */
export function unknownName(kind: string, name: string, known: Iterable<string>): FacetError {
  const names = [...known];
  const near = nearestName(name, names);
  const hint = near === undefined ? "" : ` Did you mean "${near}"?`;
  return new FacetError(`Unknown ${kind} "${name}".${hint} Known: ${names.join(", ")}.`);
}
