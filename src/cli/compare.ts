import type { Command } from "commander";
import { z } from "zod";
import { changesOf, scoresOf } from "../evaluation/scores.js";
import { requireReportFolder, writeEvaluationReport } from "../recipes/evaluationReport.js";
import { openEvaluationSet } from "../recipes/evaluationSet.js";
import { harmedRows } from "../recipes/harmedRows.js";
import { measure } from "../recipes/measure.js";
import { schemaCommand } from "./command.js";
import { comparedJson, printCompared } from "./compareView.js";
import { withDownloads } from "./downloads.js";
import { evaluationSchema, watch } from "./evaluationOptions.js";
import { answersJson, printAnswers, printLengths, scoresJson } from "./evaluationView.js";
import { colours, notice, print, printJson } from "./output.js";
import { preparedNotice } from "./preparedData.js";
import { adaptersSchema, noAdapter, openAdaptersSession } from "./session.js";

const { adapter: _, model: __, ...session } = adaptersSchema.shape;
const schema = z.strictObject({
  models: z.array(z.string()).min(2).describe("base model, then adapters to put on it"),
  ...session,
  ...evaluationSchema.shape,
});

export const compareCommand = (): Command =>
  schemaCommand(
    {
      name: "compare",
      description: "Measure a model without and with adapters, and say what got better or worse",
      schema,
      argument: "models",
      notes: [
        "The first name is the base model, the others are adapters on it. All are measured on the same rows, and differences from the base come with intervals of a paired bootstrap: each draw takes the same rows for both. A metric got worse when its interval leaves out 0. Of many metrics some will by chance: at 95 %, one in twenty.",
        '--json prints {"base", "metrics": {key: {"value", "low", "high", "rows"}}, "models": [{"adapter", "metrics", "changes": {key: {"difference", "low", "high", "verdict" ("better", "worse", "same", "unclear" or "neutral")}}, "worse": [keys], "summary": [sentences], "harmed_rows": {"count", "of", "worst": [{"file", "line", "before", "after"}]}}], "answers": [{"file", "line", "prompt", "reference", "answers": [{"answer", "finish", "tokens"}]}]}.',
      ],
      examples: [
        "facet compare facet_nano_en runs/first --data test.jsonl",
        "facet compare gemma_2b_en runs/a runs/b --data test.jsonl --task ARC-Easy-Test.jsonl --report compared.html",
      ],
    },
    async ({ models: [base, ...adapter], ...options }, json) => {
      if (options.report !== undefined) requireReportFolder(options.report);
      const opened = { ...options, model: base!, adapter };
      const { session, adapters } = await openAdaptersSession(opened, { alone: true });
      try {
        const longest = session.model.config.maxPositions;
        const sequenceLength = options.sequenceLength ?? Math.min(512, longest);
        const set = await withDownloads((hooks) =>
          openEvaluationSet({ ...options, sequenceLength }, session.model, hooks),
        );
        if (set.dataset !== undefined) preparedNotice(set.dataset.train.report).forEach(notice);
        // The model alone comes first: all others are compared with it.
        const names = [noAdapter, ...[...adapters.keys()].filter((name) => name !== noAdapter)];
        const measured = await measure(
          session,
          names.map((name) => adapters.get(name)),
          set,
          { ...options, sequenceLength },
          watch,
        );
        const base = scoresOf(measured[0]!.groups, options);
        const compared = measured.slice(1).map((model, i) => ({
          adapter: names[i + 1]!,
          scores: scoresOf(model.groups, options),
          changes: changesOf(measured[0]!.groups, model.groups, options),
          harmed: harmedRows(set, measured[0]!, model),
        }));
        const { name } = session.model;
        const models = new Map(
          measured.map((model, i) => [i === 0 ? name : names[i]!, model] as const),
        );
        if (json) {
          printJson({
            ...{ base: name, metrics: scoresJson(base) },
            models: compared.map((model) => comparedJson(model, options)),
            answers: answersJson(set, measured),
          });
        } else {
          for (const model of compared) {
            print(`${colours.bold(`${model.adapter} against ${name} alone`)}\n`);
            printCompared(base, model, options);
            print("");
          }
          printLengths(set, models);
          const [alone, ...others] = [...models].map(([title, { answers }]) => ({
            title,
            texts: answers.map(({ text }) => text),
          }));
          for (const other of others) printAnswers(set, alone!, other);
        }
        if (options.report !== undefined) {
          writeEvaluationReport(options.report, session.model.name, set, models, options);
          notice(`Report: ${options.report}`);
        }
      } finally {
        await session.close();
      }
    },
  );
