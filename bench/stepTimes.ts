import { type StepReport, type TrainOptions, train } from "../src/training/loop.js";
import type { TimedEngine } from "./stopwatch.js";

/** One optimizer step. */
export interface StepTime {
  /** Wall time of forward, backward and AdamW. */
  readonly ms: number;
  /** Of that, time inside the engine's `run`; the rest is JavaScript. */
  readonly engineMs: number;
}

export interface TrainingSample {
  readonly steps: readonly StepTime[];
  readonly losses: readonly number[];
  /** Processor time of all threads of the process. */
  readonly cpuMs: number;
  readonly targetTokens: number;
}

/** Trains as every recipe does, with a clock beside it. */
export async function timedTraining(
  clock: TimedEngine,
  options: Omit<TrainOptions, "onStep" | "shouldStop">,
  onStep: (report: StepReport) => void = () => {},
): Promise<TrainingSample> {
  const steps: StepTime[] = [];
  const losses: number[] = [];
  let targetTokens = 0;
  clock.take();
  const before = process.cpuUsage();
  await train({
    ...options,
    onStep: (report) => {
      steps.push({ ms: report.seconds * 1000, engineMs: clock.take() });
      losses.push(report.loss);
      targetTokens += report.targetTokens;
      onStep(report);
    },
  });
  const { user, system } = process.cpuUsage(before);
  return { steps, losses, targetTokens, cpuMs: (user + system) / 1000 };
}
