#!/usr/bin/env node
import { createRequire } from "node:module";
import { Command } from "commander";
import { errorText } from "./errorText.js";
import { Interrupted, interruptedExitCode } from "./interruption.js";
import { notice, noticeColours } from "./output.js";

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  quickstart: async () => (await import("./quickstart.js")).quickstartCommand(),
  finetune: async () => (await import("./finetune.js")).finetuneCommand(),
  generate: async () => (await import("./generate.js")).generateCommand(),
  chat: async () => (await import("./chat.js")).chatCommand(),
  evaluate: async () => (await import("./evaluate.js")).evaluateCommand(),
  sweep: async () => (await import("./sweep.js")).sweepCommand(),
  compare: async () => (await import("./compare.js")).compareCommand(),
  classify: async () => (await import("./classify.js")).classifyCommand(),
  export: async () => (await import("./export.js")).exportCommand(),
  import: async () => (await import("./import.js")).importCommand(),
  convert: async () => (await import("./convert.js")).convertCommand(),
  adapter: async () => (await import("./adapter.js")).adapterCommand(),
  augment: async () => (await import("./augment.js")).augmentCommand(),
  inspect: async () => (await import("./inspect.js")).inspectCommand(),
  summary: async () => (await import("./summary.js")).summaryCommand(),
  pretrain: async () => (await import("./pretrain.js")).pretrainCommand(),
  download: async () => (await import("./download.js")).downloadCommand(),
  reproduce: async () => (await import("./reproduce.js")).reproduceCommand(),
  schema: async () => (await import("./schema.js")).schemaOfCommand(),
  doctor: async () => (await import("./doctor.js")).doctorCommand(),
};

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

const program = new Command("facet")
  .description("Fine-tune Gemma with LoRA, on the machine you already have")
  .version(version)
  .addHelpText("after", "\nStart with: facet quickstart");

// What a command needs is loaded when it is the one that was named; help and mistakes need them all.
const named = process.argv[2] ?? "";
const needed = Object.hasOwn(commands, named) ? [commands[named]!] : Object.values(commands);
for (const load of needed) program.addCommand(await load());

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof Interrupted) {
    notice(error.message);
    process.exitCode = interruptedExitCode;
  } else {
    notice(`${noticeColours.red("error:")} ${errorText(error)}`);
    process.exitCode = 1;
  }
}
