import { Command } from "commander";
import { adapterAddCommand } from "./adapterAdd.js";
import { adapterMergeCommand } from "./adapterMerge.js";
import { adapterScaleCommand } from "./adapterScale.js";
import { adapterShowCommand } from "./adapterShow.js";
import { adapterSvdCommand } from "./adapterSvd.js";

/** Adapters as values: each command reads any kind of adapter and writes a PEFT folder. */
export function adapterCommand(): Command {
  const command = new Command("adapter").description("Look at adapters, and calculate with them");
  for (const subcommand of [
    adapterShowCommand(),
    adapterAddCommand(),
    adapterScaleCommand(),
    adapterMergeCommand(),
    adapterSvdCommand(),
  ]) {
    command.addCommand(subcommand);
  }
  return command;
}
