import type { Command } from "commander";
import { z } from "zod";
import { chatTemplateOf } from "../hub/openModel.js";
import { finetuneSchema } from "../recipes/finetuneConfig.js";
import { openDataset } from "../recipes/openDataset.js";
import { requireTokenizer } from "../runtime/session.js";
import { evaluate } from "../training/evaluate.js";
import { evaluationBatches } from "../training/sources.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { facts } from "./layout.js";
import { count, notice, outputWidth, percent, print, printJson } from "./output.js";
import { preparedNotice } from "./preparedData.js";
import { openProgress } from "./progress.js";
import { openModelSession, sessionSchema } from "./session.js";

const { data, filter, columns, template, limit, targets, overlong, batchSize } =
  finetuneSchema.shape;
const schema = z.strictObject({
  ...sessionSchema.shape,
  data: data.describe("data to measure on: file, folder, or what to download"),
  filter,
  columns,
  template,
  limit,
  targets,
  overlong,
  sequenceLength: z
    .int()
    .min(2)
    .optional()
    .describe("longest row in tokens (default: 512, or what the model takes)"),
  batchSize: batchSize.unwrap().default(4).describe("rows computed at a time"),
});

export const evaluateCommand = (): Command =>
  schemaCommand(
    {
      name: "evaluate",
      description: "Measure loss, perplexity and accuracy of a model on a data file",
      schema,
      notes: [
        "Loss is the mean cross-entropy per target token, in nats; accuracy the share of target tokens whose most likely id is right.",
        '--json prints {"loss", "perplexity", "accuracy", "target_tokens", "examples"}.',
      ],
      examples: [
        "facet evaluate --model facet_nano_en --data test.jsonl",
        "facet evaluate --model ./my-model --adapter runs/first --data test.jsonl --json",
      ],
    },
    async (options, json) => {
      const { data, filter, columns, template, limit, targets, overlong, batchSize, ...model } =
        options;
      const session = await openModelSession(model);
      try {
        const tokenizer = requireTokenizer(session.model);
        const longest = session.model.config.maxPositions;
        const sequenceLength = options.sequenceLength ?? Math.min(512, longest);
        const chatTemplate = chatTemplateOf(session.model);
        const dataset = await withDownloads((hooks) =>
          openDataset(options, { tokenizer, sequenceLength, chatTemplate }, hooks),
        );
        preparedNotice(dataset.train.report).forEach(notice);
        const batches = [...evaluationBatches(dataset.train.examples, batchSize, tokenizer.padId)];
        const program = await session.evaluation(sequenceLength);
        const result = await evaluate(program, session.parameters, withProgress(batches));
        if (json) printJson(result);
        else {
          const lines = [
            ["Loss", `${result.loss.toFixed(4)} nats per token`],
            ["Perplexity", result.perplexity.toFixed(2)],
            ["Accuracy", percent(result.accuracy)],
            ["Target tokens", count(result.target_tokens)],
            ["Examples", count(result.examples)],
          ] as const;
          print(facts(lines, outputWidth()));
        }
      } finally {
        await session.close();
      }
    },
  );

/** The batches, with a bar that shows how many were taken. */
function* withProgress<T>(batches: readonly T[]): Generator<T> {
  const progress = openProgress("Evaluating");
  try {
    for (const [done, batch] of batches.entries()) {
      progress.update({ done, total: batches.length, details: ["batches"] });
      yield batch;
    }
    progress.update({ done: batches.length, total: batches.length, details: ["batches"] });
  } finally {
    progress.stop();
  }
}
