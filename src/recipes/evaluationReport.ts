import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { lengthHistogram } from "../data/lengths.js";
import { FacetError } from "../errors.js";
import type { BootstrapOptions } from "../evaluation/bootstrap.js";
import { changesOf, plainly, scoresOf } from "../evaluation/scores.js";
import { shownDifference, shownInterval, shownValue } from "../evaluation/shown.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import {
  type EvaluationReportData,
  type ReportedMetric,
  renderEvaluationReport,
} from "../report/evaluationReport.js";
import { answerLengths } from "./answerLengths.js";
import type { EvaluationSet } from "./evaluationSet.js";
import type { Measured } from "./measure.js";

/** Throws a FacetError where a report cannot be written, which is better known before an hour of measuring. */
export function requireReportFolder(path: string): void {
  const folder = dirname(resolve(path));
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new FacetError(
    `Cannot write the report ${path}: there is no folder ${folder}. Create it first.`,
  );
}

/** Writes an HTML report of one model or, compared with the first, of several. */
export function writeEvaluationReport(
  path: string,
  base: string,
  set: EvaluationSet,
  models: ReadonlyMap<string, Measured>,
  options: BootstrapOptions,
): void {
  const [[, first], ...others] = [...models] as [[string, Measured], ...[string, Measured][]];
  const intervalName = `${Number((100 * options.confidence).toFixed(2))} % interval`;
  const changes = others.map(([, other]) => changesOf(first.groups, other.groups, options));
  const data: EvaluationReportData = {
    title: others.length === 0 ? `Evaluation of ${base}` : `Comparison on ${base}`,
    model: base,
    created: new Date().toISOString(),
    verdicts: others.map(([name], i) => ({
      name,
      sentences: plainly(changes[i]!, options.confidence),
    })),
    intervalName,
    metrics: reportedMetrics(models, changes, options),
    ...(set.prompts.length > 0 && { lengths: lengthCounts(set, models) }),
    pairs:
      first.rows.length === 0 ? [] : others.map(([name, other]) => pairsOf(name, first, other)),
    answers: set.prompts.map(({ prompt, reference }, i) => ({
      prompt: prompt.trim(),
      texts: [
        { name: "The row's own", text: reference },
        ...[...models].map(([name, { answers }]) => ({ name, text: answers[i]!.text })),
      ],
    })),
    facts: factsOf(set, options, intervalName),
  };
  writeFileAtomic(path, renderEvaluationReport(data));
}

function reportedMetrics(
  models: ReadonlyMap<string, Measured>,
  changes: readonly ReturnType<typeof changesOf>[],
  options: BootstrapOptions,
): ReportedMetric[] {
  const names = [...models.keys()];
  const scores = [...models.values()].map(({ groups }) => scoresOf(groups, options));
  return scores[0]!.map(({ label, metric }, at) => ({
    label,
    meaning: metric.meaning,
    values: scores.map((ofModel, i) => {
      const { value, interval } = ofModel[at]!;
      const factor = metric.shown === "percent" ? 100 : 1;
      return {
        name: names[i]!,
        value: value * factor,
        interval: interval && ([interval[0] * factor, interval[1] * factor] as const),
        shown: shownValue(metric, value),
      };
    }),
    changes: changes.map((ofModel) => {
      const { difference, verdict } = ofModel[at]!;
      const interval = shownInterval(metric, difference);
      const range = interval === "" ? "" : ` (${interval})`;
      const text = `${shownDifference(metric, difference.value)}${range}`;
      return { text, verdict: verdict === "neutral" ? "" : verdict };
    }),
  }));
}

function lengthCounts(set: EvaluationSet, models: ReadonlyMap<string, Measured>) {
  const series = answerLengths(set, models);
  const all = lengthHistogram(series.flatMap(({ lengths }) => lengths));
  return {
    buckets: all.map(({ from, to }) => `${from}–${to}`),
    series: series.map(({ name, lengths }) => {
      const counts = lengthHistogram(lengths).map(({ count }) => count);
      return { name, counts: all.map((_, i) => counts[i] ?? 0) };
    }),
  };
}

const pairsOf = (name: string, before: Measured, after: Measured) => ({
  name,
  losses: after.rows.map(
    ({ loss, tokens }, i) => [before.rows[i]!.loss / tokens, loss / tokens] as const,
  ),
});

function factsOf(
  { dataset, prompts, tasks }: EvaluationSet,
  options: BootstrapOptions,
  intervalName: string,
) {
  const facts = {
    ...(dataset !== undefined && {
      Data: `${dataset.train.examples.length} rows of ${dataset.path}`,
      Template: dataset.template.name,
    }),
    ...(prompts.length > 0 && { Answers: `greedy, to the prompts of ${prompts.length} rows` }),
    ...Object.fromEntries(
      tasks.map(({ name, questions }) => [`Task ${name}`, `${questions.length} questions`]),
    ),
    Intervals: `${intervalName}, ${options.resamples} draws of the rows, seed ${options.seed}`,
  };
  return Object.entries(facts).map(([label, value]) => ({ label, value }));
}
