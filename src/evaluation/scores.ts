import {
  type BootstrapOptions,
  type Column,
  differences,
  type Estimate,
  estimates,
} from "./bootstrap.js";
import type { MetricInfo } from "./metric.js";
import { shownSize, shownValue } from "./shown.js";
import { type Verdict, verdictOf } from "./verdict.js";

/** Metrics over the same rows. */
export interface MetricGroup {
  /** The name of the task that the rows are of; undefined for the held-out rows and the answers to them. */
  readonly task: string | undefined;
  readonly columns: readonly Column[];
}

export interface Score extends Estimate {
  /** The metric's key, after the task's name where it is of a task: "loss", "arc.acc". */
  readonly key: string;
  /** For people, with the task's name. */
  readonly label: string;
  readonly metric: MetricInfo;
  readonly rows: number;
}

/** The difference of a score from that of the model it is compared with. */
export interface Change {
  readonly key: string;
  readonly label: string;
  readonly metric: MetricInfo;
  readonly difference: Estimate;
  readonly verdict: Verdict;
}

/** Every metric with its interval. */
export const scoresOf = (groups: readonly MetricGroup[], options: BootstrapOptions): Score[] =>
  groups.flatMap(({ task, columns }) =>
    estimates(columns, options).map((estimate, i) => ({
      ...named(task, columns[i]!),
      rows: columns[i]!.parts.length,
      ...estimate,
    })),
  );

/** What changed from one model to another that was measured on the same rows. */
export const changesOf = (
  before: readonly MetricGroup[],
  after: readonly MetricGroup[],
  options: BootstrapOptions,
): Change[] =>
  after.flatMap(({ task, columns }, group) =>
    differences(before[group]!.columns, columns, options).map((difference, i) => {
      const name = named(task, columns[i]!);
      return { ...name, difference, verdict: verdictOf(name.metric, difference) };
    }),
  );

function named(task: string | undefined, { metric }: Column) {
  const key = task === undefined ? metric.key : `${task}.${metric.key}`;
  const label = task === undefined ? metric.label : `${task}: ${metric.label}`;
  return { key, label, metric };
}

/**
 * Whether anything got worse, in plain sentences: what did first, then what got better, then what the rows cannot tell.
 * A metric that follows another is left out.
 */
export function plainly(changes: readonly Change[], confidence: number): string[] {
  const said = changes.filter(({ metric }) => metric.follows === undefined);
  const of = (verdict: Verdict) => said.filter((change) => change.verdict === verdict);
  const sure = `${Number((100 * confidence).toFixed(2))} %`;
  const worse = of("worse").map((change) => `Worse: ${sentence(change, sure)}`);
  const unclear = of("unclear");
  return [
    ...(worse.length > 0 ? worse : [`Nothing got worse that these rows can show.`]),
    ...of("better").map((change) => `Better: ${sentence(change, sure)}`),
    ...(unclear.length > 0 ? [`Too close to tell: ${listed(unclear)}.`] : []),
    ...(of("same").length > 0 ? [`The same on every row: ${listed(of("same"))}.`] : []),
  ];
}

const listed = (changes: readonly Change[]) => changes.map(({ label }) => label).join(", ");

function sentence({ label, metric, difference }: Change, sure: string): string {
  const { value, interval } = difference;
  const [from, to] = interval!.map(Math.abs).sort((a, b) => a - b) as [number, number];
  const number = (size: number) => shownValue(metric, size).replace(" %", "");
  return `${label} ${value < 0 ? "fell" : "rose"} by ${shownSize(metric, Math.abs(value))} (${sure} interval ${number(from)} to ${number(to)}).`;
}
