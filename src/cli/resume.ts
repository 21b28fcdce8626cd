import type { Command } from "commander";
import type { z } from "zod";
import { FacetError } from "../errors.js";
import { flagOf, givenOptions } from "./optionsFromSchema.js";

/** Adds `--resume` to a training command. */
export const addResumeOption = (command: Command): Command =>
  command.option(
    "--resume",
    "continue the interrupted run in --run with the options it was started with",
  );

/**
 * The run folder to continue, or undefined without `--resume`. Throws a FacetError for options that
 * continuing would ignore.
 */
export function runToResume(command: Command, schema: z.ZodObject): string | undefined {
  if (command.opts<{ resume?: true }>().resume !== true) return undefined;
  const { run, ...others } = givenOptions(command, schema);
  if (typeof run !== "string") throw new FacetError("--resume needs --run: the folder of the run.");
  const flags = Object.keys(others).map(flagOf);
  if (flags.length === 0) return run;
  throw new FacetError(
    `--resume continues a run with the options it was started with, so ${flags.join(", ")} would be ` +
      `ignored. Leave ${flags.length === 1 ? "it" : "them"} out, or start a new run.`,
  );
}
