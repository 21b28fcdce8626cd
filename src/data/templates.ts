import { FacetError, unknownName } from "../errors.js";
import { TURN_MARKERS } from "../tokenizers/chatTemplate.js";
import type { Segment } from "../tokenizers/segments.js";
import { type RowFormat, rowFormat } from "./rowFormat.js";
import type { Row } from "./rows.js";

/** Which tokens count in the loss: all of them, or only those of the completion. The end token counts in both. */
export type Targets = "all" | "completion";

type Part = { readonly text: string } | { readonly field: string } | { readonly piece: string };

/** How a row becomes text. The completion is the last placeholder and what follows it; the prompt is the rest. */
export interface Template {
  /** A built-in's name, or the custom source itself. */
  readonly name: string;
  readonly prompt: readonly Part[];
  readonly completion: readonly Part[];
  /** The names of all placeholders, without repeats. */
  readonly fields: readonly string[];
  /** The last placeholder: what the model is to answer. */
  readonly responseField: string;
  /** Whether field values are stripped of white space at both ends, as Gemma's chat rendering does. */
  readonly trim: boolean;
}

const CHAT =
  "<start_of_turn>user\n{prompt}<end_of_turn>\n<start_of_turn>model\n{completion}<end_of_turn>\n";
const TUTORIAL = "Instruction:\n{prompt}\n\nResponse:\n{completion}";

const forDolly = (source: string) =>
  source.replace("{prompt}", "{instruction}").replace("{completion}", "{response}");

const BUILT_IN: Record<string, { trim: boolean; sources: Partial<Record<RowFormat, string>> }> = {
  // https://ai.google.dev/gemma/docs/core/lora_tuning, the Keras tutorial.
  tutorial: {
    trim: false,
    sources: { dolly: forDolly(TUTORIAL), "prompt-completion": TUTORIAL },
  },
  "gemma-chat": { trim: true, sources: { dolly: forDolly(CHAT), "prompt-completion": CHAT } },
  plain: { trim: false, sources: { text: "{text}", "prompt-completion": "{prompt}{completion}" } },
};

const DEFAULTS: Record<RowFormat, string> = {
  dolly: "tutorial",
  text: "plain",
  "prompt-completion": "plain",
};

/** The names of the built-in templates. */
const templateNames: readonly string[] = Object.keys(BUILT_IN);

/**
 * The template for these rows. `spec` is a built-in's name, a custom source with `{field}` placeholders, or undefined
 * for what the rows' format suggests: `tutorial` for Dolly's fields, `plain` (nothing added) for the others.
 * Throws a FacetError for an unknown name, a malformed source, and a field that no row has.
 */
export function chooseTemplate(spec: string | undefined, rows: readonly Row[]): Template {
  if (spec?.includes("{")) return requireFields(parseTemplate(spec), rows);
  if (spec !== undefined) requireName(spec);
  const format = rowFormat(rows);
  return builtIn(spec ?? DEFAULTS[format], format);
}

/**
 * The template that `spec` names or is, where there are no rows. Of a built-in's forms, which differ in the names of
 * their fields, it is the one for prompts with completions.
 * Throws a FacetError for an unknown name and a malformed source.
 */
export function namedTemplate(spec: string): Template {
  if (spec.includes("{")) return parseTemplate(spec);
  requireName(spec);
  return builtIn(spec, "prompt-completion");
}

/**
 * A template from its source: `{field}` is a placeholder, `{{` and `}}` are literal braces, a turn marker is its id.
 * Throws a FacetError for unbalanced braces, a source without placeholder, and a start or end token (Facet adds those).
 */
export function parseTemplate(source: string): Template {
  const written = /<bos>|<eos>/.exec(source);
  if (written) {
    throw new FacetError(
      `The template writes ${written[0]}. Facet adds the start and end tokens by id; remove it.`,
    );
  }
  const parts = parseParts(source);
  const last = parts.findLastIndex((part) => "field" in part);
  const response = parts[last];
  if (response === undefined || !("field" in response)) {
    throw new FacetError(
      `The template "${source}" has no {field} placeholder, so every row would become the same text.`,
    );
  }
  const fields = new Set(parts.flatMap((part) => ("field" in part ? [part.field] : [])));
  return {
    name: source,
    prompt: parts.slice(0, last),
    completion: parts.slice(last),
    fields: [...fields],
    responseField: response.field,
    trim: false,
  };
}

/** The segments of one row. Throws a FacetError when a field of the template is missing in `fields`. */
export function render(
  template: Template,
  fields: Readonly<Record<string, string>>,
  targets: Targets,
): Segment[] {
  return [
    ...fill(template, template.prompt, fields, targets === "all"),
    ...fill(template, template.completion, fields, true),
  ];
}

/** The segments before the response, none of them a target: what a model is given to answer. */
export function promptOf(template: Template, fields: Readonly<Record<string, string>>): Segment[] {
  return fill(template, template.prompt, fields, false);
}

function parseParts(source: string): Part[] {
  const parts: Part[] = [];
  let text = "";
  const endText = () => {
    if (text !== "") parts.push({ text });
    text = "";
  };
  const token = /\{\{|\}\}|\{([^{}]*)\}|<(?:start|end)_of_turn>|[{}]|[^{}<]+|</g;
  for (const match of source.matchAll(token)) {
    const [found, field] = match;
    if (field !== undefined) {
      if (field === "") throw badBrace(source, match.index, "an empty placeholder {}");
      endText();
      parts.push({ field });
    } else if (TURN_MARKERS.includes(found)) {
      endText();
      parts.push({ piece: found });
    } else if (found === "{" || found === "}") {
      throw badBrace(source, match.index, `a single "${found}"`);
    } else {
      text += found === "{{" ? "{" : found === "}}" ? "}" : found;
    }
  }
  endText();
  return parts;
}

function badBrace(source: string, index: number, what: string): FacetError {
  return new FacetError(
    `The template "${source}" has ${what} at character ${index + 1}. A placeholder is {field}; a literal brace is doubled.`,
  );
}

function requireName(name: string): void {
  if (Object.hasOwn(BUILT_IN, name)) return;
  throw unknownName("template", name, [...templateNames, "or text with {field} placeholders"]);
}

function builtIn(name: string, format: RowFormat): Template {
  const { sources, trim } = BUILT_IN[name]!;
  const source = sources[format];
  if (source === undefined) {
    throw new FacetError(
      `The template "${name}" has no form for ${format} rows. Use "${DEFAULTS[format]}", or write one with {field} placeholders.`,
    );
  }
  return { ...parseTemplate(source), name, trim };
}

function requireFields(template: Template, rows: readonly Row[]): Template {
  const known = new Set(
    rows.flatMap((row) => [...Object.keys(row.fields), ...Object.keys(row.nonText)]),
  );
  for (const field of template.fields) {
    if (!known.has(field)) throw unknownName("field in the template", field, known);
  }
  return template;
}

function fill(
  template: Template,
  parts: readonly Part[],
  fields: Readonly<Record<string, string>>,
  target: boolean,
): Segment[] {
  return parts.map((part) => {
    if (!("field" in part)) return { ...part, target };
    const value = Object.hasOwn(fields, part.field) ? fields[part.field] : undefined;
    if (value === undefined) {
      throw new FacetError(
        `The template "${template.name}" needs the field "${part.field}"; given: ${Object.keys(fields).join(", ") || "none"}.`,
      );
    }
    return { text: template.trim ? value.trim() : value, target };
  });
}
