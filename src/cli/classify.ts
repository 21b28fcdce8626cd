import type { Command } from "commander";
import { z } from "zod";
import { fileOf } from "../data/prepareReport.js";
import { FacetError } from "../errors.js";
import { classify, type Prediction } from "../recipes/classify.js";
import { classifyData } from "../recipes/classifyData.js";
import { classifierHooks } from "./classifierView.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { evaluationSchema } from "./evaluationOptions.js";
import { percent, print, printable, printJson } from "./output.js";
import { openModelSession, sessionSchema } from "./session.js";

const { data, filter, columns, template, limit, overlong, sequenceLength, batchSize } =
  evaluationSchema.shape;
const schema = z.strictObject({
  ...sessionSchema.shape,
  adapter: z.string().describe("classifier to use: run or PEFT folder, or a checkpoint of a run"),
  text: z.array(z.string()).default([]).describe("text to classify"),
  data: data.describe("data whose rows to classify: file, folder, or what to download"),
  ...{ filter, columns, template, limit, overlong, sequenceLength, batchSize },
});

export const classifyCommand = (): Command =>
  schemaCommand(
    {
      name: "classify",
      description: "Put texts into the classes that an adapter was trained for",
      schema,
      notes: [
        "Rows need no labels; with labels, facet evaluate measures how many are right. A template must be the one that the classifier was trained with.",
        '--json prints {"predictions": [{"text" or "file" and "line", "label", "probability", "probabilities": {label: p}}]}.',
      ],
      examples: [
        'facet classify --model facet_nano_en --adapter runs/mood --text "What a lovely day."',
        "facet classify --model facet_nano_en --adapter runs/mood --data reviews.csv --columns text=review --json",
      ],
    },
    async ({ text: texts, data, ...options }, json) => {
      if ((texts.length === 0) === (data === undefined)) {
        throw new FacetError("Give either --text, once or more, or --data.");
      }
      const session = await openModelSession(options);
      try {
        if (data === undefined) {
          const predictions = await classify(session, texts);
          show(
            predictions.map((prediction, i) => ({ text: texts[i]!, ...prediction })),
            json,
          );
          return;
        }
        const { dataset, predictions } = await withDownloads((download) =>
          classifyData(session, { ...options, data }, classifierHooks(download)),
        );
        const { examples, report } = dataset.train;
        const places = Array.from(examples, ({ line }, i) => ({ file: fileOf(report, i), line }));
        show(
          predictions.map((prediction, i) => ({ ...places[i]!, ...prediction })),
          json,
        );
      } finally {
        await session.close();
      }
    },
  );

type Shown = Prediction & {
  readonly text?: string;
  readonly file?: string;
  readonly line?: number;
};

function show(predictions: readonly Shown[], json: boolean): void {
  if (json) {
    printJson({ predictions });
    return;
  }
  for (const { label, probability, text, file, line } of predictions) {
    const what = text ?? `${file}, line ${line}`;
    print(`${printable(label)} (${percent(probability)})  ${printable(what)}`);
  }
}
