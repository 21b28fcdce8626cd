import type { Command } from "commander";
import { z } from "zod";
import { sweep } from "../recipes/sweep.js";
import { readSweepFile } from "../recipes/sweepConfig.js";
import { sweepReportPath } from "../recipes/sweepReport.js";
import { rankedTrials, sweepColumns, sweepRow } from "../recipes/sweepTable.js";
import type { EndedTrial } from "../recipes/sweepTrials.js";
import { schemaCommand } from "./command.js";
import { engineSchema } from "./engine.js";
import { shown } from "./finetuneView.js";
import { Interrupted, interruption } from "./interruption.js";
import { table } from "./layout.js";
import { notice, plural, print, printJson } from "./output.js";
import { sweepView } from "./sweepView.js";
import { sweepWorkers } from "./sweepWorkers.js";

const schema = z.strictObject({
  file: z.string().describe("YAML or JSON file that describes the sweep"),
  workers: z
    .int()
    .positive()
    .default(1)
    .describe("runs at the same time, each with a model of its own"),
  threads: engineSchema.shape.threads.describe(
    "threads of each run (default: every core, shared by the workers)",
  ),
});

export const sweepCommand = (): Command =>
  schemaCommand(
    {
      name: "sweep",
      description: "Fine-tune with many combinations of options, and again with the best",
      schema,
      argument: "file",
      notes: [
        'The file has run (a folder), method (grid, random or halving), trials, factor, goal (loss or accuracy), seed, "options" and "search" with options of finetune by their names in run.json, and retrain. A searched option has a list of values, or {min, max, scale: log, count}.',
        "Each run is a process. Ctrl-C saves a checkpoint in each and exits with code 130; the same command then goes on, also after the sweep was killed. report.html in the folder is written anew after each run.",
        '--json prints {"run", "status", "goal", "trials": [{"number", "round", "values", "run", "loss", "accuracy", "steps", "seconds", "error"}], "best": {"number", "values", "run"}, "retrained": null or {"run"}}, the best first.',
      ],
      examples: ["facet sweep sweep.yaml", "facet sweep sweep.yaml --workers 2 --json"],
    },
    async ({ file, workers, threads }, json) => {
      const config = readSweepFile(file);
      const view = sweepView();
      const processes = sweepWorkers({ workers, threads }, view.step);
      const stopping = interruption(() => {
        view.say("Stopping after this step; a second Ctrl-C stops at once.");
        processes.stop();
      });
      stopping.listen();
      try {
        const result = await sweep(config, {
          workers,
          runTrial: processes.run,
          onEvent: view.event,
        });
        view.stop();
        if (result.status === "interrupted") {
          throw new Interrupted(`Interrupted. To go on: facet sweep ${file}`);
        }
        const ranked = rankedTrials(config, result.trials);
        const { best, retrained } = result;
        if (json) {
          printJson({
            ...{ run: config.run, status: result.status, goal: config.goal },
            trials: ranked.map(trialJson),
            best: { number: best!.number, values: best!.point, run: best!.config.run },
            retrained: retrained ? { run: retrained.config.run } : null,
          });
        } else {
          print(
            table(
              sweepColumns(config),
              ranked.map((trial) => sweepRow(config, trial)),
            ),
          );
          warnOfOtherTargets(ranked);
          print(`\nReport        ${shown(sweepReportPath(config))}`);
          print(`Best run      ${shown(best!.config.run)}`);
          if (retrained !== undefined) print(`Re-trained    ${shown(retrained.config.run)}`);
        }
      } finally {
        view.stop();
        stopping.release();
        processes.kill();
      }
    },
  );

const trialJson = ({ number, round, point, config, result, error }: EndedTrial) => ({
  ...{ number, round, values: point, run: config.run },
  loss: result?.heldOut?.loss ?? null,
  accuracy: result?.heldOut?.accuracy ?? null,
  steps: result?.steps ?? null,
  seconds: result?.seconds ?? null,
  error: error ?? null,
});

/** Templates, targets and lengths change what is held out. */
function warnOfOtherTargets(trials: readonly EndedTrial[]): void {
  const counts = new Set(trials.flatMap(({ result }) => result?.heldOut?.target_tokens ?? []));
  if (counts.size < 2) return;
  notice(
    `The runs were measured on ${plural(counts.size, "different set")} of held-out tokens, since the search changes the data; their losses are not quite comparable.`,
  );
}
