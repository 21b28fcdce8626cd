import { unknownName } from "../errors.js";

/** The learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number;

export const scheduleNames = ["constant", "linear", "cosine"] as const;
export type ScheduleName = (typeof scheduleNames)[number];

export interface ScheduleOptions {
  readonly learningRate: number;
  readonly totalSteps: number;
  /** Steps over which the rate rises from 0 in a straight line. */
  readonly warmupSteps?: number;
  /** Rate at the end of a decay, as a fraction of `learningRate`. */
  readonly finalFraction?: number;
}

/** Decay from 1 at progress 0 to 0 at progress 1. */
const shapes: Record<ScheduleName, (progress: number) => number> = {
  constant: () => 1,
  linear: (progress) => 1 - progress,
  cosine: (progress) => (1 + Math.cos(Math.PI * progress)) / 2,
};

/** Linear warm-up, then the named decay to `finalFraction` of the rate at `totalSteps`. */
export function schedule(name: string, options: ScheduleOptions): Schedule {
  const { learningRate, totalSteps, warmupSteps = 0, finalFraction = 0 } = options;
  if (!Object.hasOwn(shapes, name)) throw unknownName("schedule", name, scheduleNames);
  const shape = shapes[name as ScheduleName];
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    return learningRate * (finalFraction + (1 - finalFraction) * shape(progress));
  };
}
