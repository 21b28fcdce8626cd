import type { BootstrapOptions } from "../evaluation/bootstrap.js";
import type { Score } from "../evaluation/scores.js";
import { shownInterval, shownValue } from "../evaluation/shown.js";
import { answerLengths } from "../recipes/answerLengths.js";
import type { EvaluationSet } from "../recipes/evaluationSet.js";
import type { Measured } from "../recipes/measure.js";
import { sideBySide, table, wrap } from "./layout.js";
import { colours, count, outputWidth, percent, plural, print, printable } from "./output.js";

/** Answers printed; the report and --json have all. */
const SHOWN_ANSWERS = 3;

/** What intervals are called: "95 % interval". */
export const intervalName = ({ confidence }: Pick<BootstrapOptions, "confidence">): string =>
  `${Number((100 * confidence).toFixed(2))} % interval`;

/** The metrics of one model as a table. */
export const scoreTable = (scores: readonly Score[], interval: string): string =>
  table(
    ["Metric", "Value", interval, "Rows"],
    scores.map((score) => [
      score.label,
      shownValue(score.metric, score.value),
      shownInterval(score.metric, score),
      count(score.rows),
    ]),
  );

/** Each metric by its key; an interval that there is not is null. */
export const scoresJson = (scores: readonly Score[]) =>
  Object.fromEntries(
    scores.map(({ key, value, interval, rows }) => [
      key,
      { value, low: interval?.[0] ?? null, high: interval?.[1] ?? null, rows },
    ]),
  );

/** The prompts with what each model answered; of one model `answer` instead of a list. */
export const answersJson = ({ prompts }: EvaluationSet, models: readonly Measured[]) =>
  prompts.map(({ file, line, prompt, reference }, i) => {
    const answers = models.map(({ answers }) => {
      const { text, finish, tokens } = answers[i]!;
      return { answer: text, finish, tokens };
    });
    return { file, line, prompt, reference, ...(answers.length === 1 ? answers[0] : { answers }) };
  });

/** Statistics of the answers' tokens and of the rows' own, and how many of the prompts had one to compare. */
export function printLengths(set: EvaluationSet, models: ReadonlyMap<string, Measured>): void {
  if (set.prompts.length === 0) return;
  const rows = answerLengths(set, models).map(({ name, statistics, cut }) => [
    name,
    ...[statistics.min, statistics.mean, statistics.median, statistics.max].map((tokens) =>
      tokens.toFixed(0),
    ),
    cut === undefined ? "" : percent(cut),
  ]);
  print(`\n${table(["Tokens of", "min", "mean", "median", "max", "cut"], rows)}`);
}

/** The first prompts, each with two texts beside each other. */
export function printAnswers(
  { prompts }: EvaluationSet,
  left: { readonly title: string; readonly texts: readonly string[] },
  right: { readonly title: string; readonly texts: readonly string[] },
): void {
  const width = outputWidth();
  prompts.slice(0, SHOWN_ANSWERS).forEach(({ prompt }, i) => {
    print(`\n${colours.bold(wrap(printable(prompt.trim()), width).join("\n"))}\n`);
    const side = ({ title, texts }: typeof left) => ({ title, text: printable(texts[i]!) });
    print(sideBySide(side(left), side(right), width));
  });
  const more = prompts.length - SHOWN_ANSWERS;
  if (more > 0) print(`\n${plural(more, "more answer")} in --report and --json`);
}
