import { FacetError } from "../errors.js";
import { TURN_MARKERS } from "../tokenizers/chatTemplate.js";

/** A piece of a template: text, a field's place, a control piece, or parts that are there only with or without a field. */
export type Part =
  | { readonly text: string }
  | { readonly field: string }
  | { readonly piece: string }
  | { readonly when: string; readonly filled: boolean; readonly parts: readonly Part[] };

/**
 * The parts of a template's source: `{field}` is a placeholder, `{{` and `}}` are literal braces, a turn marker is its id;
 * `{?field}…{/field}` is there only for rows whose field holds something, `{!field}…{/field}` only for the others.
 * Throws a FacetError for braces that do not match.
 */
export function templateParts(source: string): Part[] {
  const top: Part[] = [];
  let open: { when: string; filled: boolean; parts: Part[]; at: number } | undefined;
  let text = "";
  const add = (part: Part) => {
    (open?.parts ?? top).push(part);
  };
  const endText = () => {
    if (text !== "") add({ text });
    text = "";
  };
  const bad = (index: number, what: string) =>
    new FacetError(
      `The template "${source}" has ${what} at character ${index + 1}. A placeholder is {field}; a literal brace is doubled.`,
    );
  const token = /\{\{|\}\}|\{([?!/]?)([^{}]*)\}|<(?:start|end)_of_turn>|[{}]|[^{}<]+|</g;
  for (const match of source.matchAll(token)) {
    const [found, mark, field] = match;
    if (field !== undefined) {
      if (field === "") throw bad(match.index, `an empty placeholder ${found}`);
      endText();
      if (mark === "") add({ field });
      else if (mark === "/") {
        if (open?.when !== field) throw bad(match.index, `${found} without {?${field}} before it`);
        const { when, filled, parts } = open;
        open = undefined;
        add({ when, filled, parts });
      } else {
        if (open !== undefined) throw bad(match.index, `${found} inside of {?${open.when}}`);
        open = { when: field, filled: mark === "?", parts: [], at: match.index };
      }
    } else if (TURN_MARKERS.includes(found)) {
      endText();
      add({ piece: found });
    } else if (found === "{" || found === "}") {
      throw bad(match.index, `a single "${found}"`);
    } else {
      text += found === "{{" ? "{" : found === "}}" ? "}" : found;
    }
  }
  endText();
  if (open !== undefined)
    throw bad(open.at, `a part of {${open.when}} that {/${open.when}} does not end`);
  return top;
}

/** The fields that a template cannot do without. */
export const requiredFields = (parts: readonly Part[]): string[] => [
  ...new Set(parts.flatMap((part) => ("field" in part ? [part.field] : []))),
];

/** All fields that a template knows, without repeats. */
export function allFields(parts: readonly Part[]): string[] {
  const fields = parts.flatMap((part) => {
    if ("field" in part) return [part.field];
    return "when" in part ? [part.when, ...allFields(part.parts)] : [];
  });
  return [...new Set(fields)];
}
