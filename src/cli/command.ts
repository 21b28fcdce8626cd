import { Command } from "commander";
import type { z } from "zod";
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

/** A command whose options are the keys of a schema; `run` gets them checked and with defaults. */
export function schemaCommand<S extends z.ZodObject>(
  spec: CommandSpec & { readonly schema: S },
  run: (options: z.output<S>, json: boolean) => Promise<void>,
): Command {
  const command = addSchemaOptions(plainCommand(spec), spec.schema);
  return command.action(async () => {
    requireOptions(command, spec.schema);
    const options = validated(spec.schema, givenOptions(command, spec.schema), spec.name);
    await run(options, wantsJson(command));
  });
}
