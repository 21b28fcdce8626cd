import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FacetError } from "../errors.js";
import { cleanTemporaries } from "../formats/atomicFile.js";
import { readStrictJson } from "../formats/strictJson.js";
import { best } from "../search/halving.js";
import { runPaths, writeJson } from "./runFolder.js";
import type { SweepConfig } from "./sweepConfig.js";
import { writeSweepReport } from "./sweepReport.js";
import {
  cost,
  type EndedTrial,
  pointsOf,
  retrainedTrial,
  roundsOf,
  type Trial,
  type TrialResult,
  trialOf,
} from "./sweepTrials.js";

export type SweepEvent =
  | { readonly kind: "plan"; readonly trials: number; readonly rounds: number }
  | { readonly kind: "retraining"; readonly trial: Trial }
  | { readonly kind: "started"; readonly trial: Trial; readonly resumed: boolean }
  | { readonly kind: "ended"; readonly trial: EndedTrial; readonly known: boolean };

export interface SweepHooks {
  /** Runs a trial to its end, continuing what its run folder has; rejects when the run fails. Undefined: interrupted. */
  readonly runTrial: (trial: Trial, resume: boolean) => Promise<TrialResult | undefined>;
  /** Trials that run at the same time. */
  readonly workers: number;
  readonly onEvent?: (event: SweepEvent) => void;
}

export interface SweepResult {
  readonly status: "finished" | "interrupted";
  /** All that have ended, in the order of rounds and numbers. */
  readonly trials: readonly EndedTrial[];
  readonly best: EndedTrial | undefined;
  /** The run with the best combination. */
  readonly retrained: EndedTrial | undefined;
}

/**
 * Runs a sweep, or what is left of it: trials whose results are in its folder are not run again, those that were
 * interrupted are continued, those that failed are tried again. A trial that fails ranks last.
 */
export async function sweep(config: SweepConfig, hooks: SweepHooks): Promise<SweepResult> {
  const points = pointsOf(config);
  const rounds = roundsOf(config, points.length);
  // All are made before any runs, so that a mistake in one is known at once.
  let candidates = points.map((point, i) => trialOf(config, point, i + 1, 1, rounds[0]));
  if (config.retrain !== false) retrainedTrial(config, candidates[0]!);
  openSweepFolder(config);
  const total = rounds.reduce((sum, rung) => sum + (rung?.candidates ?? points.length), 0);
  hooks.onEvent?.({ kind: "plan", trials: total, rounds: rounds.length });
  const ended: EndedTrial[] = [];
  const report = () => writeSweepReport(config, inOrder(ended));
  let ranked: EndedTrial[] = [];
  for (const [i, rung] of rounds.entries()) {
    if (i > 0) {
      const kept = ranked.slice(0, rung!.candidates);
      candidates = kept.map(({ point, number }) => trialOf(config, point, number, i + 1, rung));
    }
    const round = await runAll(candidates, hooks, (trial) => {
      ended.push(trial);
      report();
    });
    const trials = inOrder(ended);
    if (round === undefined) {
      return { status: "interrupted", trials, best: undefined, retrained: undefined };
    }
    ranked = best(
      round.filter(({ result }) => result !== undefined),
      (trial) => cost(config, trial),
    );
    if (ranked.length === 0) {
      throw new FacetError(`Every run of the sweep failed, the first with: ${round[0]!.error}`);
    }
  }
  const trials = inOrder(ended);
  const winner = ranked[0]!;
  if (config.retrain === false) {
    return { status: "finished", trials, best: winner, retrained: undefined };
  }
  const last = retrainedTrial(config, winner);
  hooks.onEvent?.({ kind: "retraining", trial: last });
  const retrained = (await runAll([last], hooks, () => {}))?.[0];
  if (retrained?.error !== undefined) throw new FacetError(retrained.error);
  const status = retrained === undefined ? "interrupted" : "finished";
  return { status, trials, best: winner, retrained };
}

const inOrder = (trials: readonly EndedTrial[]) =>
  [...trials].sort((a, b) => a.round - b.round || a.number - b.number);

/** Runs trials, some at a time, in their order; undefined when they were interrupted. */
async function runAll(
  trials: readonly Trial[],
  hooks: SweepHooks,
  onEnd: (trial: EndedTrial) => void,
): Promise<EndedTrial[] | undefined> {
  const ended: EndedTrial[] = [];
  let next = 0;
  let interrupted = false;
  const work = async () => {
    while (next < trials.length && !interrupted) {
      const index = next++;
      const done = await runOne(trials[index]!, hooks);
      if (done === undefined) interrupted = true;
      else {
        ended[index] = done;
        onEnd(done);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(hooks.workers, trials.length) }, work));
  return interrupted ? undefined : ended;
}

async function runOne(trial: Trial, hooks: SweepHooks): Promise<EndedTrial | undefined> {
  const file = join(trial.folder, "result.json");
  if (existsSync(file)) {
    const known = { ...trial, result: readStrictJson(file) as TrialResult };
    hooks.onEvent?.({ kind: "ended", trial: known, known: true });
    return known;
  }
  const { run } = trial.config;
  const paths = runPaths(run);
  // A run that ended before its result was noted is done again: what it found out is in no file.
  const resume = existsSync(paths.run) && !existsSync(paths.report);
  if (!resume) rmSync(run, { recursive: true, force: true });
  mkdirSync(trial.folder, { recursive: true });
  hooks.onEvent?.({ kind: "started", trial, resumed: resume });
  let ended: EndedTrial;
  try {
    const result = await hooks.runTrial(trial, resume);
    if (result === undefined) return undefined;
    if (result.heldOut !== undefined && !Number.isFinite(result.heldOut.loss)) {
      throw new FacetError("The loss of the held-out rows is not finite.");
    }
    writeJson(file, result);
    ended = { ...trial, result };
  } catch (error) {
    if (!(error instanceof FacetError)) throw error;
    ended = { ...trial, error: error.message };
  }
  hooks.onEvent?.({ kind: "ended", trial: ended, known: false });
  return ended;
}

/** Makes the folder of a new sweep, or opens that of the same one. Throws a FacetError where another one lies. */
function openSweepFolder(config: SweepConfig): void {
  const { run, space, ...rest } = config;
  const file = join(run, "sweep.json");
  // As JSON has it, so that it can be compared with what was read.
  const described = JSON.stringify({ ...rest, space: Object.fromEntries(space) });
  if (existsSync(file)) {
    if (JSON.stringify(readStrictJson(file)) === described) {
      cleanTemporaries(run);
      return;
    }
    throw new FacetError(
      `${run} holds another sweep: the file has changed since it began. Choose another run, or undo the change to continue it.`,
    );
  }
  if (existsSync(run)) {
    throw new FacetError(`${run} exists already, and is no sweep. Choose another run.`);
  }
  mkdirSync(run, { recursive: true });
  writeJson(file, JSON.parse(described));
}
