import { existsSync } from "node:fs";
import type { Command } from "commander";
import { z } from "zod";
import { engineOf, type Reproduction, reproduce } from "../recipes/reproduce.js";
import { readSavedRun } from "../recipes/savedRun.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { openEngine, trainingEngineSchema } from "./engine.js";
import { showEvent, shown } from "./finetuneView.js";
import { facts } from "./layout.js";
import { outputWidth, print, printJson } from "./output.js";
import { openTrainingView } from "./trainingView.js";

const schema = z.strictObject({
  path: z.string().describe("run.json of a finished run, or its folder"),
  run: z
    .string()
    .optional()
    .describe("folder for the repetition (default: the run's, with -reproduced)"),
});

export const reproduceCommand = (): Command =>
  schemaCommand(
    {
      name: "reproduce",
      description: "Repeat a finished fine-tuning run and compare the results byte by byte",
      schema,
      argument: "path",
      notes: [
        "The data, the template and the model are compared with the run's digests first. The engine gets the threads that the run had. The exit code is 0 when every file of the adapter (or whole model) is the same, else 1.",
        '--json prints {"run", "repeated", "identical", "files": [{"name", "identical"}], "first_difference": null or a step, "versions": [{"name", "was", "now"}]}; "versions" lists those that are others now.',
      ],
      examples: [
        "facet reproduce runs/notes/run.json",
        "facet reproduce runs/notes --run /tmp/again --json",
      ],
    },
    async ({ path, run }, json) => {
      const saved = readSavedRun(path);
      const engine = await openEngine(trainingEngineSchema.parse(engineOf(saved)));
      const view = openTrainingView();
      let result: Reproduction;
      try {
        result = await withDownloads((download) =>
          reproduce(path, run ?? freshFolder(`${saved.folder}-reproduced`), engine, {
            signal: view.signal,
            onEvent: (event) => showEvent(view, event),
            download,
          }),
        );
      } finally {
        view.close();
      }
      if (json) printJson(toJson(result));
      else printResult(result);
      if (!result.identical) process.exitCode = 1;
    },
  );

/** The folder, or the first of folder-2, folder-3, … that does not exist. */
function freshFolder(folder: string): string {
  if (!existsSync(folder)) return folder;
  for (let number = 2; ; number++) {
    const next = `${folder}-${number}`;
    if (!existsSync(next)) return next;
  }
}

const toJson = ({ firstDifference, ...result }: Reproduction) => ({
  run: result.run,
  repeated: result.repeated,
  identical: result.identical,
  files: result.files,
  first_difference: firstDifference ?? null,
  versions: result.versions,
});

function printResult({ run, repeated, identical, files, firstDifference, versions }: Reproduction) {
  const lines: [string, string][] = [
    ["Run", shown(run)],
    ["Repeated in", shown(repeated)],
    ...files.map(({ name, identical: same }): [string, string] => [
      name,
      same ? "the same bytes" : "differs",
    ]),
  ];
  if (firstDifference !== undefined) {
    lines.push(["First difference", `the loss or the gradient of step ${firstDifference}`]);
  }
  for (const { name, was, now } of versions)
    lines.push([`Version of ${name}`, `${was}, now ${now}`]);
  lines.push(["Result", identical ? "reproduced, bit for bit" : "not reproduced"]);
  print(facts(lines, outputWidth()));
}
