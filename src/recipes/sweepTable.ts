import { best } from "../search/halving.js";
import type { SweepConfig } from "./sweepConfig.js";
import { cost, type EndedTrial } from "./sweepTrials.js";

/** The titles of a sweep's table. */
export const sweepColumns = ({ space, method }: SweepConfig): string[] => [
  "Run",
  ...space.keys(),
  ...(method === "halving" ? ["steps"] : []),
  "loss",
  "accuracy",
  "time",
];

/**
 * The runs of a sweep in the order of the table: those of the last round first, of each the best first, and those that
 * failed last.
 */
export function rankedTrials(config: SweepConfig, trials: readonly EndedTrial[]): EndedTrial[] {
  const rounds = [...new Set(trials.map(({ round }) => round))].sort((a, b) => b - a);
  const ranked = rounds.flatMap((round) =>
    best(
      trials.filter((trial) => trial.round === round),
      (trial) => cost(config, trial),
    ),
  );
  const ended = (trial: EndedTrial) => trial.error === undefined;
  return [...ranked.filter(ended), ...ranked.filter((trial) => !ended(trial))];
}

/** The cells of a run. */
export function sweepRow(config: SweepConfig, trial: EndedTrial): string[] {
  const { number, point, result, error } = trial;
  const heldOut = result?.heldOut;
  const values = [...config.space.keys()].map((name) => valueText(point[name]));
  return [
    String(number),
    ...values,
    ...(config.method === "halving" ? [String(trial.config.maxSteps)] : []),
    error === undefined ? (heldOut?.loss.toFixed(4) ?? "") : "failed",
    heldOut === undefined ? "" : `${(100 * heldOut.accuracy).toFixed(1)} %`,
    result === undefined ? "" : `${result.seconds.toFixed(0)} s`,
  ];
}

/** A value as the file would have it. */
export const valueText = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value);
