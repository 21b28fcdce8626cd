import { FacetError, unknownName } from "../errors.js";

/** The learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number;

export const scheduleNames = ["constant", "linear", "cosine", "polynomial", "wsd"] as const;
export type ScheduleName = (typeof scheduleNames)[number];

export interface ScheduleOptions {
  readonly learningRate: number;
  readonly totalSteps: number;
  /** Steps over which the rate rises from 0 in a straight line. */
  readonly warmupSteps?: number;
  /** Rate at the end of a decay, as a fraction of `learningRate`. */
  readonly finalFraction?: number;
  /** Exponent of "polynomial"; default 2. */
  readonly schedulePower?: number | undefined;
  /** Share of all steps that "wsd" decays over, at the end; default 0.2. */
  readonly decayFraction?: number | undefined;
}

/** Decay from 1 to 0, at a progress from 0 to 1 through the steps after the warm-up. */
type Shape = (progress: number, options: { power: number; decayShare: number }) => number;

const shapes: Record<ScheduleName, Shape> = {
  constant: () => 1,
  linear: (progress) => 1 - progress,
  cosine: (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
  polynomial: (progress, { power }) => (1 - progress) ** power,
  // Warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395), with the decay 1 − √x that Hägele et
  // al. 2024 (arXiv:2405.18392, section 4) found best.
  wsd: (progress, { decayShare }) => {
    const decayed = (progress - (1 - decayShare)) / decayShare;
    return decayed <= 0 ? 1 : 1 - Math.sqrt(Math.min(1, decayed));
  },
};

/**
 * Linear warm-up, then the named decay to `finalFraction` of the rate at `totalSteps`. Throws a
 * FacetError for an unknown name, and for an option that the named schedule would ignore.
 */
export function schedule(name: string, options: ScheduleOptions): Schedule {
  const { learningRate, totalSteps, warmupSteps = 0, finalFraction = 0 } = options;
  if (!Object.hasOwn(shapes, name)) throw unknownName("schedule", name, scheduleNames);
  refuseIgnored(name, "polynomial", "schedulePower", options.schedulePower);
  refuseIgnored(name, "wsd", "decayFraction", options.decayFraction);
  const shape = shapes[name as ScheduleName];
  const steps = Math.max(1, totalSteps - warmupSteps);
  const { schedulePower: power = 2, decayFraction = 0.2 } = options;
  const decayShare = Math.min(1, Math.max(1, decayFraction * totalSteps) / steps);
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / steps);
    const fraction = shape(progress, { power, decayShare });
    return learningRate * (finalFraction + (1 - finalFraction) * fraction);
  };
}

function refuseIgnored(name: string, only: ScheduleName, option: string, value: unknown): void {
  if (value === undefined || name === only) return;
  throw new FacetError(
    `${option} is for the schedule "${only}"; "${name}" has no use for it. Leave it out, or choose "${only}".`,
  );
}
