import { Command } from "commander";
import { z } from "zod";
import { validated } from "../validation.js";
import { wrap } from "./layout.js";
import { addSchemaOptions, givenOptions, requireOptions } from "./optionsFromSchema.js";
import { outputWidth } from "./output.js";

export interface CommandSpec {
  readonly name: string;
  readonly description: string;
  /** Command lines shown by --help. */
  readonly examples: readonly string[];
  /** What --help says besides, a paragraph each; the last is what --json prints. */
  readonly notes: readonly string[];
}

/** A command with `--json` and its help, but without options of its own. */
export function plainCommand({ name, description, examples, notes }: CommandSpec): Command {
  const help = () => {
    const paragraphs = notes.map((note) => wrap(note, outputWidth()).join("\n"));
    return `\n${paragraphs.join("\n\n")}\n\nExamples:\n${examples.map((e) => `  ${e}`).join("\n")}`;
  };
  return new Command(name)
    .description(description)
    .option("--json", "print one JSON document on stdout; everything else goes to stderr")
    .addHelpText("after", help);
}

/** Whether `--json` was given. */
export const wantsJson = (command: Command): boolean =>
  command.opts<{ json?: true }>().json === true;

/**
 * A command whose options are the keys of a schema; `run` gets them checked and with defaults. The
 * key `argument` is given without a flag: one word, or several if it is a list.
 */
export function schemaCommand<S extends z.ZodObject>(
  spec: CommandSpec & { readonly schema: S; readonly argument?: string },
  run: (options: z.output<S>, json: boolean) => Promise<void>,
): Command {
  const { schema, argument } = spec;
  const { [argument ?? ""]: field, ...flags } = schema.shape;
  const flagged = z.strictObject(flags);
  const command = plainCommand(spec);
  if (argument !== undefined && field !== undefined) addArgument(command, argument, field);
  addSchemaOptions(command, flagged);
  return command.action(async (...[word]: unknown[]) => {
    requireOptions(command, flagged);
    const given = givenOptions(command, flagged);
    const values = field === undefined || word === undefined ? {} : { [argument!]: word };
    await run(validated(schema, { ...given, ...values }, spec.name), wantsJson(command));
  });
}

function addArgument(command: Command, name: string, field: z.core.$ZodType): void {
  const { type, description } = z.toJSONSchema(field, { io: "input" });
  const word = type === "array" ? `${name}...` : name;
  const optional = z.safeParse(field, undefined).success;
  command.argument(optional ? `[${word}]` : `<${word}>`, description);
}
