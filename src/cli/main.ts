#!/usr/bin/env node
import { createRequire } from "node:module";
import { Command } from "commander";
import { adapterCommand } from "./adapter.js";
import { chatCommand } from "./chat.js";
import { convertCommand } from "./convert.js";
import { doctorCommand } from "./doctor.js";
import { downloadCommand } from "./download.js";
import { errorText } from "./errorText.js";
import { evaluateCommand } from "./evaluate.js";
import { exportCommand } from "./export.js";
import { finetuneCommand } from "./finetune.js";
import { generateCommand } from "./generate.js";
import { importCommand } from "./import.js";
import { inspectCommand } from "./inspect.js";
import { Interrupted, interruptedExitCode } from "./interruption.js";
import { notice, noticeColours } from "./output.js";
import { pretrainCommand } from "./pretrain.js";
import { quickstartCommand } from "./quickstart.js";
import { summaryCommand } from "./summary.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

const program = new Command("facet")
  .description("Fine-tune Gemma with LoRA, on the machine you already have")
  .version(version)
  .addHelpText("after", "\nStart with: facet quickstart");

for (const command of [
  quickstartCommand(),
  finetuneCommand(),
  generateCommand(),
  chatCommand(),
  evaluateCommand(),
  exportCommand(),
  importCommand(),
  convertCommand(),
  adapterCommand(),
  inspectCommand(),
  summaryCommand(),
  pretrainCommand(),
  downloadCommand(),
  doctorCommand(),
]) {
  program.addCommand(command);
}

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
