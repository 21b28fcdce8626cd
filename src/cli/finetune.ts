import { existsSync } from "node:fs";
import type { Command } from "commander";
import { FacetError } from "../errors.js";
import { readConfigFile } from "../recipes/configFile.js";
import { finetune, resumeFinetune } from "../recipes/finetune.js";
import { finetuneSchema } from "../recipes/finetuneConfig.js";
import { runPaths } from "../recipes/runFolder.js";
import { readSavedRun } from "../recipes/savedRun.js";
import { validated } from "../validation.js";
import { plainCommand, wantsJson } from "./command.js";
import { openEngine, trainingEngineSchema } from "./engine.js";
import { showFinetune } from "./finetuneView.js";
import { addSchemaOptions, givenOptions, requireOptions } from "./optionsFromSchema.js";
import { addResumeOption, runToResume } from "./resume.js";
import { finetuneFileSchema } from "./schema.js";
import { trackers, trackingSchema } from "./tracking.js";

export function finetuneCommand(): Command {
  const command = plainCommand({
    name: "finetune",
    description: "Train a LoRA adapter, or all weights, on your data",
    notes: [
      '--config takes options from a YAML or JSON file, by their names in run.json (learningRate for --learning-rate); flags override it. "facet schema" writes its JSON Schema.',
      "Ctrl-C finishes the step, saves a checkpoint and exits with code 130; --resume continues such a run, or one that was killed, with the threads that it was started with unless you say otherwise, and gives bit for bit what the uninterrupted run would have given.",
      '--json prints {"run", "status" ("finished" or "interrupted"), "steps", "stopped_early", "best": null or {"step", "loss"} of a validation, "trainable_parameters", "loss", "accuracy", "held_out": null or {"before", "after"}, "samples": [{"prompt", "before", "after"}], "tokens_per_second", "seconds", "adapter", "model"}; of the last two the one that the run did not make is null. "loss", "accuracy" and "tokens_per_second" are null for a resumed run that had no step left to do.',
    ],
    examples: [
      "facet finetune --model facet_nano_en --data notes.jsonl --run runs/notes",
      "facet finetune --model gemma_2b_en --data dolly.jsonl --filter no-context --limit 1000 \\\n    --rank 4 --learning-rate 5e-5 --run runs/tutorial",
      `facet finetune --model ./my-model --data qa.jsonl --template $'Q: {question}\\nA: {answer}' \\\n    --targets completion --validation-split 0.1 --run runs/qa`,
      "facet finetune --model ./my-model --data reviews.csv --objective classification \\\n    --columns text=review,label=sentiment --validation-split 0.1 --run runs/sentiment",
      "facet finetune --model ./my-model --data pairs.jsonl --objective dpo --beta 0.1 --run runs/preferred",
      "facet finetune --config notes.yaml --learning-rate 1e-3 --run runs/notes-2",
      "facet finetune --resume --run runs/notes",
    ],
  });
  command.option("--config <file>", "YAML or JSON file of options, which flags override");
  addSchemaOptions(command, finetuneSchema);
  addSchemaOptions(command, trainingEngineSchema);
  addSchemaOptions(command, trackingSchema);
  addResumeOption(command);
  return command.action(async () => {
    const resumed = runToResume(command, finetuneSchema);
    const given = {
      ...optionsInFile(command, resumed),
      ...givenOptions(command, finetuneFileSchema),
    };
    if (resumed === undefined) requireOptions(command, finetuneSchema, given);
    const engineOptions = {
      ...(resumed !== undefined && engineOfRun(resumed)),
      ...part(given, trainingEngineSchema),
    };
    const engine = await openEngine(validated(trainingEngineSchema, engineOptions, "engine"));
    const tracking = validated(trackingSchema, part(given, trackingSchema), "tracking");
    const callbacks = trackers(tracking);
    const input = part(given, finetuneSchema);
    await showFinetune(
      (hooks) =>
        resumed === undefined
          ? finetune(validated(finetuneSchema, input, "finetune"), engine, { ...hooks, callbacks })
          : resumeFinetune(resumed, engine, { ...hooks, callbacks }),
      wantsJson(command),
    );
  });
}

function optionsInFile(command: Command, resumed: string | undefined): Record<string, unknown> {
  const { config } = command.opts<{ config?: string }>();
  if (config === undefined) return {};
  if (resumed === undefined) return readConfigFile(config, finetuneFileSchema);
  throw new FacetError(
    "--resume continues a run with the options it was started with, so --config would be ignored. Leave it out, or start a new run.",
  );
}

/** The engine options that a run was started with, as far as it has noted them. */
function engineOfRun(run: string): Record<string, unknown> {
  return existsSync(runPaths(run).run) ? (readSavedRun(run).engine?.settings ?? {}) : {};
}

/** The given options that are this schema's. */
const part = (given: Record<string, unknown>, { shape }: { shape: object }) =>
  Object.fromEntries(Object.entries(given).filter(([key]) => Object.hasOwn(shape, key)));
