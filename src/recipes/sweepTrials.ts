import { join } from "node:path";
import { createRandom } from "../random.js";
import { type Rung, rungs } from "../search/halving.js";
import { draw, grid, type Point } from "../search/space.js";
import { validated } from "../validation.js";
import { type FinetuneConfig, finetuneSchema } from "./finetuneConfig.js";
import { requireFitting } from "./objectiveConfig.js";
import { requireRunning } from "./runningConfig.js";
import type { SweepConfig } from "./sweepConfig.js";

/** A run of a sweep. */
export interface Trial {
  /** Which combination, from 1. */
  readonly number: number;
  /** The values of the options that are searched. */
  readonly point: Point;
  /** Which round of halving, from 1; always 1 without. */
  readonly round: number;
  /** Where its configuration, run folder and result lie. */
  readonly folder: string;
  readonly config: FinetuneConfig & { readonly run: string };
}

/** What a finished run says about itself. */
export interface TrialResult {
  readonly steps: number;
  readonly seconds: number;
  /** Of the held-out rows after training; undefined of a run without. */
  readonly heldOut:
    | {
        readonly loss: number;
        readonly accuracy: number;
        readonly examples: number;
        /** Of rows that are learned as text. */
        readonly target_tokens?: number;
      }
    | undefined;
}

/** A trial that has ended; `error` says why it failed. */
export type EndedTrial = Trial & { readonly result?: TrialResult; readonly error?: string };

/** What a sweep makes small. */
export const cost = ({ goal }: Pick<SweepConfig, "goal">, { result }: EndedTrial): number => {
  const heldOut = result?.heldOut;
  if (heldOut === undefined) return Number.NaN;
  return goal === "loss" ? heldOut.loss : -heldOut.accuracy;
};

/** The combinations that a sweep tries: all, or drawn ones without repeats; fewer where there are no more. */
export function pointsOf({ method, space, trials, seed }: SweepConfig): Point[] {
  if (method === "grid") return grid(space);
  const points = new Map<string, Point>();
  // Each draw has numbers of its own, so that more trials leave the first ones as they are.
  for (let index = 0; points.size < trials! && index < 100 * trials!; index++) {
    const point = draw(space, createRandom({ seed, stream: "sweep", index }));
    points.set(JSON.stringify(point), point);
  }
  return [...points.values()];
}

/** The rounds of a sweep. Without halving there is one, of all combinations and with the options' own steps. */
export const roundsOf = (sweep: SweepConfig, points: number): readonly (Rung | undefined)[] =>
  sweep.method === "halving"
    ? rungs(points, sweep.factor, sweep.options.maxSteps as number)
    : [undefined];

/** The trial of a combination in a round. Throws a FacetError where its options are none of finetune's. */
export function trialOf(
  { run, options }: Pick<SweepConfig, "run" | "options">,
  point: Point,
  number: number,
  round: number,
  rung: Rung | undefined,
): Trial {
  const digits = String(number).padStart(4, "0");
  const name = rung === undefined ? digits : `${digits}-${rung.steps}-steps`;
  const folder = join(run, "trials", name);
  // There is at least a step in an epoch, so the steps alone decide.
  const budget = rung === undefined ? {} : { maxSteps: rung.steps, epochs: rung.steps };
  const given = { ...options, ...point, ...budget, run: join(folder, "run") };
  return { number, point, round, folder, config: checked(given) };
}

/** The run with the best combination and the sweep's last options. */
export function retrainedTrial(sweep: SweepConfig, best: Trial): Trial {
  const folder = join(sweep.run, "best");
  const given = { ...best.config, ...(sweep.retrain || {}), run: join(folder, "run") };
  return { ...best, folder, config: checked(given) };
}

/** Throws a FacetError for what finetune would refuse, before anything is trained. */
function checked(given: { readonly run: string }): Trial["config"] {
  const config = validated(finetuneSchema, given, "finetune");
  requireFitting(config);
  requireRunning(config, config.validationSplit > 0);
  return { ...config, run: given.run };
}
