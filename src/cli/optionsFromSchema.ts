import { type Command, Option } from "commander";
import { z } from "zod";
import { FacetError, unknownName } from "../errors.js";

/** The parts of a JSON Schema property that options are made from. */
const propertySchema = z.preprocess(
  // A value or a list of such is a list here: the option is repeatable.
  (property) => {
    const { anyOf, ...rest } = property as { anyOf?: { type?: unknown }[] };
    return anyOf === undefined ? property : { ...anyOf.find(isList), ...rest };
  },
  z.object({
    type: z.enum(["string", "integer", "number", "boolean", "array"]),
    description: z.string(),
    default: z.unknown().optional(),
    enum: z.array(z.string()).optional(),
    items: z
      .object({ enum: z.array(z.string()).optional(), type: z.string().optional() })
      .optional(),
  }),
);
const isList = ({ type }: { type?: unknown }) => type === "array";
type Property = z.output<typeof propertySchema>;

const describe = (schema: z.ZodObject) =>
  z
    .object({
      properties: z.record(z.string(), propertySchema),
      required: z.array(z.string()).default([]),
    })
    .parse(z.toJSONSchema(schema, { io: "input" }));

/** `sequenceLength` is `--sequence-length`. */
export const flagOf = (key: string): string =>
  `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * Gives a command one option per key of the schema: kebab-case flags, with the schema's descriptions
 * and defaults. Lists are repeatable, and lists of names may be separated by commas. A value is
 * checked by the schema as it is read. No option gets a value that the user did not give.
 */
export function addSchemaOptions(command: Command, schema: z.ZodObject): Command {
  for (const [key, property] of Object.entries(describe(schema).properties)) {
    const flag = flagOf(key);
    if (property.type === "boolean") {
      command.addOption(new Option(flag, descriptionOf(property)));
      if (property.default === true) {
        command.addOption(new Option(`--no-${flag.slice(2)}`, `turn ${flag} off`));
      }
      continue;
    }
    const option = new Option(`${flag} <${placeholder(key, property)}>`, descriptionOf(property));
    const field = schema.shape[key] as z.ZodType;
    command.addOption(
      option.argParser((text: string, previous: unknown) =>
        property.type === "array"
          ? [
              ...((previous as unknown[] | undefined) ?? []),
              ...readList(text, flag, property, field),
            ]
          : readValue(text, flag, property, field),
      ),
    );
  }
  return command;
}

/** The schema's keys that were given on the command line, and their values. */
export function givenOptions(command: Command, schema: z.ZodObject): Record<string, unknown> {
  const given = command.opts<Record<string, unknown>>();
  return Object.fromEntries(
    Object.keys(schema.shape)
      .filter((key) => command.getOptionValueSource(key) === "cli")
      .map((key) => [key, given[key]]),
  );
}

/** Ends the command with commander's own error when an option that the schema requires is not among the given. */
export function requireOptions(
  command: Command,
  schema: z.ZodObject,
  given: Readonly<Record<string, unknown>> = givenOptions(command, schema),
): void {
  const missing = describe(schema).required.filter((key) => !Object.hasOwn(given, key));
  if (missing.length === 0) return;
  const flags = missing.map(flagOf).join(", ");
  command.error(
    `error: ${missing.length === 1 ? "required option" : "required options"} ${flags} not given`,
  );
}

function descriptionOf({ type, description, default: value, ...property }: Property): string {
  const names = property.enum ?? property.items?.enum;
  const choices = names ? `: ${names.join(", ")}` : "";
  const isText = names === undefined && property.items?.type !== "number";
  const repeatable = type === "array" && isText ? " (repeatable)" : "";
  const shown = Array.isArray(value) ? value.join(", ") : value;
  const fallback =
    shown === undefined || shown === "" || value === false ? "" : ` (default: ${shown})`;
  return `${description}${choices}${repeatable}${fallback}`;
}

function placeholder(key: string, { type, ...property }: Property): string {
  if (type === "integer") return "n";
  if (type === "number") return "x";
  if (property.items?.type === "number") return "x,…";
  if (property.enum || property.items?.enum) return type === "array" ? "names" : "name";
  return flagOf(key).slice(2);
}

function readValue(text: string, flag: string, property: Property, field: z.ZodType): unknown {
  if (property.enum !== undefined && !property.enum.includes(text)) {
    throw unknownName(flag, text, property.enum);
  }
  const isNumber = property.type === "integer" || property.type === "number";
  // Number("") is 0.
  const value = isNumber ? (text.trim() === "" ? Number.NaN : Number(text)) : text;
  return checked(value, text, flag, field);
}

function readList(text: string, flag: string, property: Property, field: z.ZodType): unknown[] {
  const names = property.items?.enum;
  if (property.items?.type === "number") {
    const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
    return checked(numbers, text, flag, field) as number[];
  }
  // A comma in other texts, such as prompts, is part of the text.
  if (names === undefined) return checked([text], text, flag, field) as string[];
  const parts = text.split(",").map((part) => part.trim());
  for (const part of parts) if (!names.includes(part)) throw unknownName(flag, part, names);
  return parts;
}

function checked(value: unknown, text: string, flag: string, field: z.ZodType): unknown {
  const numbers = Array.isArray(value) ? value : [value];
  if (numbers.some((one) => typeof one === "number" && !Number.isFinite(one))) {
    throw new FacetError(`Invalid ${flag} "${text}": a number is needed.`);
  }
  const parsed = field.safeParse(value);
  if (parsed.success) return value;
  throw new FacetError(`Invalid ${flag} "${text}": ${parsed.error.issues[0]!.message}.`);
}
