import { FacetError, unknownName } from "../errors.js";
import type { Segment } from "../tokenizers/segments.js";
import { builtInTemplates, defaultTemplates } from "./builtInTemplates.js";
import { type RowFormat, rowFormat } from "./rowFormat.js";
import { type Row, textField } from "./rows.js";
import type { RowTemplate, Targets } from "./rowTemplate.js";
import { allFields, type Part, requiredFields, templateParts } from "./templateParts.js";

/** A template of `{field}` placeholders. The completion is the last placeholder and what follows it; the prompt is the rest. */
export interface Template extends RowTemplate {
  readonly prompt: readonly Part[];
  readonly completion: readonly Part[];
  /** The last placeholder: what the model is to answer. */
  readonly responseField: string;
  /** Whether field values are stripped of white space at both ends, as Gemma's chat rendering does. */
  readonly trim: boolean;
}

/** The names of the built-in templates. */
export const templateNames: readonly string[] = Object.keys(builtInTemplates);

/**
 * The template for these rows. `spec` is a built-in's name, a custom source with `{field}` placeholders, or undefined
 * for what the rows' format suggests: `tutorial` for Dolly's fields, `alpaca` for Alpaca's, `plain` (nothing added) for
 * the others. Throws a FacetError for an unknown name, a malformed source, and a field that no row has.
 */
export function chooseTemplate(spec: string | undefined, rows: readonly Row[]): Template {
  if (spec?.includes("{")) return requireFields(parseTemplate(spec), rows);
  if (spec !== undefined) requireName(spec);
  const format = rowFormat(rows);
  return builtIn(spec ?? defaultTemplates[format], format);
}

/**
 * The template that `spec` names or is, where there are no rows. Of a built-in's forms, which differ in the names of
 * their fields, it is the one for prompts with completions, else the first.
 * Throws a FacetError for an unknown name and a malformed source.
 */
export function namedTemplate(spec: string): Template {
  if (spec.includes("{")) return parseTemplate(spec);
  requireName(spec);
  const { sources } = builtInTemplates[spec]!;
  const [first] = Object.keys(sources) as RowFormat[];
  return builtIn(spec, "prompt-completion" in sources ? "prompt-completion" : first!);
}

/**
 * A template from its source; see `templateParts`. Throws a FacetError for a malformed one, one without placeholder, and
 * a start or end token (Facet adds those).
 */
export function parseTemplate(source: string): Template {
  const written = /<bos>|<eos>/.exec(source);
  if (written) {
    throw new FacetError(
      `The template writes ${written[0]}. Facet adds the start and end tokens by id; remove it.`,
    );
  }
  return fieldTemplate(source, source, false);
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

function fieldTemplate(name: string, source: string, trim: boolean): Template {
  const parts = templateParts(source);
  const last = parts.findLastIndex((part) => "field" in part);
  const response = parts[last];
  if (response === undefined || !("field" in response)) {
    throw new FacetError(
      `The template "${source}" has no {field} placeholder, so every row would become the same text.`,
    );
  }
  const required = requiredFields(parts);
  const template: Template = {
    name,
    source,
    prompt: parts.slice(0, last),
    completion: parts.slice(last),
    fields: allFields(parts),
    responseField: response.field,
    trim,
    segments(row, targets) {
      for (const field of template.fields) textField(row, field);
      if (required.some((field) => !Object.hasOwn(row.fields, field))) return "missing field";
      if (row.fields[response.field]?.trim() === "") return "empty response";
      return render(template, row.fields, targets);
    },
    promptFor: (instruction) =>
      promptOf(template, Object.fromEntries(required.map((field) => [field, instruction]))),
  };
  return template;
}

function requireName(name: string): void {
  if (Object.hasOwn(builtInTemplates, name)) return;
  throw unknownName("template", name, [
    ...templateNames,
    "text with {field} placeholders",
    "a .jinja file",
  ]);
}

function builtIn(name: string, format: RowFormat): Template {
  const { sources, trim } = builtInTemplates[name]!;
  const source = sources[format];
  if (source === undefined) {
    const usual = defaultTemplates[format];
    throw new FacetError(
      `The template "${name}" has no form for ${format} rows. Use "${usual}", or write one with {field} placeholders.`,
    );
  }
  return fieldTemplate(name, source, trim);
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
  return parts.flatMap((part) => {
    if ("when" in part) {
      const value = Object.hasOwn(fields, part.when) ? fields[part.when]! : "";
      return (value.trim() !== "") === part.filled
        ? fill(template, part.parts, fields, target)
        : [];
    }
    if (!("field" in part)) return [{ ...part, target }];
    const value = Object.hasOwn(fields, part.field) ? fields[part.field] : undefined;
    if (value === undefined) {
      throw new FacetError(
        `The template "${template.name}" needs the field "${part.field}"; given: ${Object.keys(fields).join(", ") || "none"}.`,
      );
    }
    return [{ text: template.trim ? value.trim() : value, target }];
  });
}
