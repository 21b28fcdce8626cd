import type { BootstrapOptions } from "../evaluation/bootstrap.js";
import { type Change, plainly, type Score } from "../evaluation/scores.js";
import { shownDifference, shownInterval, shownValue } from "../evaluation/shown.js";
import type { HarmedRows } from "../recipes/harmedRows.js";
import { intervalName, scoresJson } from "./evaluationView.js";
import { table, wrap } from "./layout.js";
import { outputWidth, print } from "./output.js";

/** A model that was compared with the base. */
export interface Compared {
  readonly adapter: string;
  readonly scores: readonly Score[];
  /** From the base. */
  readonly changes: readonly Change[];
  readonly harmed: HarmedRows;
}

/** Whether anything got worse, and every metric before and after. */
export function printCompared(
  base: readonly Score[],
  { scores, changes, harmed }: Compared,
  options: BootstrapOptions,
): void {
  const sentences = plainly(changes, options.confidence);
  print(sentences.flatMap((sentence) => wrap(sentence, outputWidth())).join("\n"));
  const rows = changes.map(({ label, metric, difference, verdict }, i) => [
    label,
    shownValue(metric, base[i]!.value),
    shownValue(metric, scores[i]!.value),
    shownDifference(metric, difference.value),
    shownInterval(metric, difference),
    verdict === "neutral" ? "" : verdict,
  ]);
  print(`\n${table(["Metric", "Alone", "With", "Change", intervalName(options), ""], rows)}`);
  const { count, of, worst } = harmed;
  if (of === 0) return;
  const where = worst.map(({ file, line }) => `${file}:${line}`).join(", ");
  print(`\nThe loss rose on ${count} of ${of} rows${where && `, most at ${where}`}`);
}

/** The object of --json. */
export const comparedJson = (
  { adapter, scores, changes, harmed }: Compared,
  { confidence }: BootstrapOptions,
) => ({
  adapter,
  metrics: scoresJson(scores),
  changes: Object.fromEntries(
    changes.map(({ key, difference: { value, interval }, verdict }) => [
      key,
      { difference: value, low: interval?.[0] ?? null, high: interval?.[1] ?? null, verdict },
    ]),
  ),
  worse: changes.filter(({ verdict }) => verdict === "worse").map(({ key }) => key),
  summary: plainly(changes, confidence),
  harmed_rows: harmed,
});
