import type { Command } from "commander";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { scoresOf } from "../evaluation/scores.js";
import { answerLengths } from "../recipes/answerLengths.js";
import { evaluateClassifier } from "../recipes/classifyData.js";
import { requireReportFolder, writeEvaluationReport } from "../recipes/evaluationReport.js";
import { openEvaluationSet } from "../recipes/evaluationSet.js";
import { type Measured, measure } from "../recipes/measure.js";
import type { Session } from "../runtime/session.js";
import {
  classifierHooks,
  printClassifierScore,
  requireClassifierOptions,
} from "./classifierView.js";
import { schemaCommand } from "./command.js";
import { withDownloads } from "./downloads.js";
import { evaluationSchema, watch } from "./evaluationOptions.js";
import {
  answersJson,
  intervalName,
  printAnswers,
  printLengths,
  scoresJson,
  scoreTable,
} from "./evaluationView.js";
import { notice, print, printJson } from "./output.js";
import { preparedNotice } from "./preparedData.js";
import { openModelSession, sessionSchema } from "./session.js";

const schema = z.strictObject({ ...sessionSchema.shape, ...evaluationSchema.shape });

export const evaluateCommand = (): Command =>
  schemaCommand(
    {
      name: "evaluate",
      description: "Measure a model on held-out rows and on multiple-choice questions",
      schema,
      notes: [
        "Loss is the mean cross-entropy per target token, in nats; accuracy the share of target tokens whose most likely id is right. The prompts of --answers rows, spread over the data, are answered greedily and compared with the rows' own completions. Intervals come from a bootstrap over rows.",
        'Of a classifier: how many rows of --data, which have labels, it puts into their class; --json prints {"loss", "accuracy", "examples", "classes": [{"label", "rows", "predicted", "correct"}]}.',
        '--json prints {"loss", "perplexity", "accuracy", "target_tokens", "examples" (null without --data), "metrics": {key: {"value", "low", "high", "rows"}}, "answer_lengths": [{"name", "min", "mean", "median", "max", "cut"}], "answers": [{"file", "line", "prompt", "reference", "answer", "finish", "tokens"}]}. The keys of a task\'s metrics begin with its name: "arc.acc", "arc.acc_norm".',
      ],
      examples: [
        "facet evaluate --model facet_nano_en --data test.jsonl",
        "facet evaluate --model ./my-model --adapter runs/first --data test.jsonl --report first.html",
        "facet evaluate --model gemma_2b_en --task ARC-Easy-Test.jsonl --task hellaswag_val.jsonl --json",
      ],
    },
    async (options, json) => {
      if (options.report !== undefined) requireReportFolder(options.report);
      const session = await openModelSession(options);
      try {
        if (session.adapter?.labels !== undefined) {
          await evaluateLabels(session, options, json);
          return;
        }
        const longest = session.model.config.maxPositions;
        const sequenceLength = options.sequenceLength ?? Math.min(512, longest);
        const set = await withDownloads((hooks) =>
          openEvaluationSet({ ...options, sequenceLength }, session.model, hooks),
        );
        if (set.dataset !== undefined) preparedNotice(set.dataset.train.report).forEach(notice);
        const settings = { ...options, sequenceLength };
        const [measured] = await measure(session, [undefined], set, settings, watch);
        const scores = scoresOf(measured!.groups, options);
        const models = new Map([[options.adapter ?? session.model.name, measured!]]);
        if (json) {
          const value = (key: string) => scores.find((score) => score.key === key)?.value ?? null;
          printJson({
            ...{ loss: value("loss"), perplexity: value("perplexity") },
            ...{ accuracy: value("accuracy"), ...rowCounts(measured!) },
            metrics: scoresJson(scores),
            answer_lengths: lengthsJson(set, models),
            answers: answersJson(set, [measured!]),
          });
        } else {
          print(scoreTable(scores, intervalName(options)));
          printLengths(set, models);
          const own = { title: "The row's own", texts: set.prompts.map((p) => p.reference) };
          const texts = measured!.answers.map(({ text }) => text);
          printAnswers(set, own, { title: "Answer", texts });
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

/** Measures a classifier on rows with labels. */
async function evaluateLabels(
  session: Session,
  options: z.output<typeof schema>,
  json: boolean,
): Promise<void> {
  requireClassifierOptions(options);
  const { data } = options;
  if (data === undefined) throw new FacetError("There is nothing to measure on. Give --data.");
  const score = await withDownloads((download) =>
    evaluateClassifier(session, { ...options, data }, classifierHooks(download)),
  );
  if (json) printJson(score);
  else printClassifierScore(score);
}

const rowCounts = ({ rows }: Measured) =>
  rows.length === 0
    ? { target_tokens: null, examples: null }
    : { target_tokens: rows.reduce((sum, { tokens }) => sum + tokens, 0), examples: rows.length };

const lengthsJson = (...of: Parameters<typeof answerLengths>) =>
  of[0].prompts.length === 0
    ? []
    : answerLengths(...of).map(({ name, statistics: { min, mean, median, max }, cut }) => ({
        ...{ name, min, mean, median, max, cut: cut ?? null },
      }));
