import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { finetune } from "../recipes/finetune.js";
import { dataNames } from "../recipes/openDataset.js";
import { quickstartConfig } from "../recipes/quickstart.js";
import { plainCommand, wantsJson } from "./command.js";
import { openEngine } from "./engine.js";
import { showFinetune, shown } from "./finetuneView.js";
import { notice } from "./output.js";

export function quickstartCommand(): Command {
  const command = plainCommand({
    name: "quickstart",
    description: "Fine-tune the built-in model on the built-in data, and show what changed",
    notes: [
      'Takes a few minutes on two cores and needs no network. Results go to a new folder under runs/. --json prints what "facet finetune --json" prints.',
    ],
    examples: ["facet quickstart"],
  });
  return command.action(async () => {
    const config = quickstartConfig(freshRun());
    notice(
      `Fine-tuning ${config.model} on ${dataNames(config).map(shown).join(", ")} into ${config.run}`,
    );
    const engine = await openEngine({});
    await showFinetune((hooks) => finetune(config, engine, hooks), wantsJson(command));
  });
}

/** runs/quickstart, or the first of runs/quickstart-2, -3, … that does not exist. */
function freshRun(): string {
  const first = join("runs", "quickstart");
  if (!existsSync(first)) return first;
  for (let number = 2; ; number++) {
    const next = `${first}-${number}`;
    if (!existsSync(next)) return next;
  }
}
