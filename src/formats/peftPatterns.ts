import { runInNewContext } from "node:vm";
import { FacetError } from "../errors.js";
import { excerpt } from "./strictJson.js";

/** Milliseconds in which all patterns must have met all names; those of honest adapters take a few. */
const MATCHING = 1000;

const script = `
const expressions = patterns.map((pattern) => new RegExp("^(?:.*\\\\.)?(?:" + pattern + ")$"));
names.map((name) => expressions.findIndex((expression) => expression.test(name)));`;

/**
 * For each name, the value of the first pattern that matches all of it, or all that follows one of its dots. Patterns
 * come with a downloaded adapter, and one can take forever to match: the timeout of `vm` is what ends that.
 * Throws a FacetError for a pattern that is no regular expression, and for patterns that take too long.
 */
export function firstMatches<T>(
  patterns: ReadonlyMap<string, T>,
  names: readonly string[],
): (T | undefined)[] {
  if (patterns.size === 0) return names.map(() => undefined);
  const sources = [...patterns.keys()];
  for (const source of sources) {
    if (isExpression(source)) continue;
    throw new FacetError(
      `The pattern ${excerpt(source)} in adapter_config.json is not a regular expression.`,
    );
  }
  let places: readonly number[];
  try {
    places = runInNewContext(script, { patterns: sources, names }, { timeout: MATCHING });
  } catch (cause) {
    throw new FacetError(
      `The patterns ${excerpt(sources)} in adapter_config.json are too complex to match.`,
      { cause },
    );
  }
  return names.map((_, i) => patterns.get(sources[places[i]!]!));
}

function isExpression(source: string): boolean {
  try {
    // By itself, so that a bracket in it cannot close one of those around it.
    return new RegExp(source) !== undefined;
  } catch {
    return false;
  }
}

/**
 * Whether a path is one of the names, or ends in one after a dot. There may be any number of names: a look-up costs
 * what the path is long.
 */
export function endsInOneOf(names: readonly string[]): (path: string) => boolean {
  const known = new Set(names);
  return (path) => {
    for (let at = 0; ; ) {
      if (known.has(path.slice(at))) return true;
      const dot = path.indexOf(".", at);
      if (dot < 0) return false;
      at = dot + 1;
    }
  };
}
