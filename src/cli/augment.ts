import type { Command } from "commander";
import { augment, augmentSchema } from "../recipes/augment.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { facts } from "./layout.js";
import { count, outputWidth, plural, print, printJson } from "./output.js";
import { openProgress } from "./progress.js";

export const augmentCommand = (): Command =>
  schemaCommand(
    {
      name: "augment",
      description: "Make more rows of rows: rewritten by rules, or written by a model",
      schema: augmentSchema,
      notes: [
        "paraphrase puts an instruction into another sentence; noise changes its case and punctuation; back-off leaves greetings, courtesies and lead-ins out; mix-contexts puts another row's passage beside a row's own. Answers are never changed. The same options write the same rows.",
        "Every row says where it comes from in the field origin. What was made of a row stays on its side of --validation-split.",
        'Rows that a model writes are left out when they are near duplicates of others. Its key is taken from the environment. --json prints {"out", "rows", "written": {name: rows}, "repeated", "synthesis": null or {"requests", "duplicates", "malformed"}}.',
      ],
      examples: [
        "facet augment --data notes.jsonl --rewrites paraphrase,noise --copies 2 --out more.jsonl",
        "facet augment --data notes.jsonl --synthesize 100 --out more.jsonl \\\n    --endpoint http://localhost:11434/v1 --endpoint-model gemma3",
      ],
    },
    async (options, json) => {
      const progress = options.synthesize === undefined ? undefined : openProgress("Writing rows");
      try {
        const result = await withDownloads((download) =>
          augment(options, {
            download,
            onSynthesis: (done, total) => progress?.update({ done, total, details: ["rows"] }),
          }),
        );
        const { synthesis = null, ...rest } = result;
        if (json) {
          printJson({ ...rest, synthesis });
          return;
        }
        const made = Object.entries(result.written).map(
          ([name, rows]) => [name, plural(rows, "row")] as const,
        );
        print(
          facts(
            [
              ["Read", plural(result.rows, "row")],
              ...made,
              ["Repeated", `${plural(result.repeated, "rewritten row")} left out`],
              ...(synthesis === null
                ? []
                : [
                    [
                      "Requests",
                      `${count(synthesis.requests)}; ${synthesis.duplicates} rows like others and ${synthesis.malformed} malformed left out`,
                    ] as const,
                  ]),
              ["Wrote", result.out],
            ],
            outputWidth(),
          ),
        );
      } finally {
        progress?.stop();
      }
    },
  );
