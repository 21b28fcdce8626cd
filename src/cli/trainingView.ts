import type { StepReport } from "../training/loop.js";
import { type Interruption, interruption } from "./interruption.js";
import { count, duration, noticeColours, percent } from "./output.js";
import { openProgress } from "./progress.js";

/** What a training command shows while it trains: a progress bar, and what Ctrl-C does. */
export interface TrainingView extends Interruption {
  step(report: StepReport, totalSteps: number): void;
  /** Prints a line without spoiling the bar. */
  say(text: string): void;
  /** Ends the bar and gives signals back; harmless when called again. */
  close(): void;
}

export function openTrainingView(): TrainingView {
  const progress = openProgress("Training");
  const interrupted = interruption(() =>
    progress.say(
      noticeColours.yellow("Finishing this step, then saving. Press Ctrl-C again to stop at once."),
    ),
  );
  let steps = 0;
  let tokens = 0;
  let seconds = 0;
  return {
    ...interrupted,
    say: progress.say,
    step(report, total) {
      steps += 1;
      tokens += report.targetTokens;
      seconds += report.seconds;
      progress.update({
        done: report.step,
        total,
        details: [
          `loss ${report.epochLoss.toFixed(3)}`,
          `${duration(((total - report.step) * seconds) / steps)} left`,
          `acc ${percent(report.epochAccuracy)}`,
          `${count(Math.round(tokens / seconds))} tok/s`,
        ],
      });
      if (report.step === total) progress.stop();
    },
    close() {
      progress.stop();
      interrupted.release();
    },
  };
}
