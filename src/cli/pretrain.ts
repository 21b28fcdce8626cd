import type { Command } from "commander";
import {
  type PretrainEvent,
  type PretrainResult,
  pretrain,
  resumePretrain,
} from "../recipes/pretrain.js";
import { pretrainSchema } from "../recipes/pretrainConfig.js";
import { validated } from "../validation.js";
import { plainCommand, wantsJson } from "./command.js";
import { withDownloads } from "./downloads.js";
import { engineSchema, openEngine } from "./engine.js";
import { shown } from "./finetuneView.js";
import { interruptedExitCode } from "./interruption.js";
import { facts } from "./layout.js";
import { addSchemaOptions, givenOptions, requireOptions } from "./optionsFromSchema.js";
import { count, outputWidth, percent, print, printJson } from "./output.js";
import { openProgress, type Progress } from "./progress.js";
import { addResumeOption, runToResume } from "./resume.js";
import { openTrainingView, type TrainingView } from "./trainingView.js";

export function pretrainCommand(): Command {
  const command = plainCommand({
    name: "pretrain",
    description: "Train all weights of a model on plain text",
    notes: [
      "Starts from random weights, or from a model with --from. Ctrl-C finishes the step, saves a checkpoint and exits with code 130; --resume continues such a run, or one that was killed, and gives, with the same --threads, bit for bit what the uninterrupted run would have given.",
      '--json prints {"run", "model", "status" ("finished" or "interrupted"), "steps", "parameters", "held_out": {"loss", "perplexity", "accuracy", "target_tokens", "examples"}}.',
    ],
    examples: [
      "facet pretrain --config config.json --tokenizer tokenizer.model --text corpus.txt \\\n    --steps 10000 --run runs/base",
      "facet pretrain --resume --run runs/base",
    ],
  });
  addSchemaOptions(command, pretrainSchema);
  addSchemaOptions(command, engineSchema);
  addResumeOption(command);
  return command.action(async () => {
    const engineOptions = validated(engineSchema, givenOptions(command, engineSchema), "engine");
    const resumed = runToResume(command, pretrainSchema);
    if (resumed === undefined) requireOptions(command, pretrainSchema);
    const input = givenOptions(command, pretrainSchema);
    const engine = await openEngine(engineOptions);
    const view = openTrainingView();
    const reading = openProgress("Reading text");
    const hooks = {
      signal: view.signal,
      onEvent: (event: PretrainEvent) => showEvent(view, reading, event),
    };
    try {
      const result = await withDownloads((download) =>
        resumed === undefined
          ? pretrain(validated(pretrainSchema, input, "pretrain"), engine, { ...hooks, download })
          : resumePretrain(resumed, engine, { ...hooks, download }),
      );
      showResult(result, wantsJson(command));
    } finally {
      reading.stop();
      view.close();
    }
  });
}

function showEvent(view: TrainingView, reading: Progress, event: PretrainEvent): void {
  switch (event.kind) {
    case "tokenizing":
      reading.update({
        done: Math.round(event.bytes / 2 ** 20),
        total: Math.max(1, Math.round(event.totalBytes / 2 ** 20)),
        details: ["MiB"],
      });
      return;
    case "corpus":
      reading.stop();
      view.say(`Text: ${count(event.tokens)} tokens, ${count(event.heldOutTokens)} held out`);
      view.say(`Training ${count(event.parameters)} parameters`);
      view.listen();
      return;
    case "step":
      view.step(event.report, event.totalSteps);
      return;
    case "evaluation":
      view.say(
        `Step ${event.step}: held-out loss ${event.result.loss.toFixed(4)}, perplexity ${event.result.perplexity.toFixed(2)}`,
      );
      return;
  }
}

function showResult(result: PretrainResult, json: boolean): void {
  const { run, model, status, steps, parameters, heldOut } = result;
  if (json) printJson({ run, model, status, steps, parameters, held_out: heldOut });
  else {
    const lines = [
      ["Steps", count(steps)],
      ["Parameters", count(parameters)],
      ["Held-out loss", `${heldOut.loss.toFixed(4)}, perplexity ${heldOut.perplexity.toFixed(2)}`],
      ["Held-out accuracy", percent(heldOut.accuracy)],
      ["Model", shown(model)],
    ] as const;
    print(facts(lines, outputWidth()));
    if (status === "finished") {
      print(`\nNext: npx facet generate --model ${shown(model)} --prompt "The"`);
    }
  }
  if (status === "interrupted") {
    process.exitCode = interruptedExitCode;
    process.stderr.write(
      `Stopped after step ${steps}. Continue with:\n  npx facet pretrain --resume --run ${shown(run)}\n`,
    );
  }
}
