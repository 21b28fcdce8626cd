import { writeFileAtomic } from "../formats/atomicFile.js";
import { createEventWriter } from "../formats/tensorboard.js";
import { type ReportData, renderReport } from "../report/report.js";
import type { StepReport } from "../training/loop.js";
import { appendJsonLine, forgetLaterSteps, readJsonLines, runPaths } from "./runFolder.js";

/** An answer of the base model and of the tuned one. */
export interface Sample {
  readonly prompt: string;
  readonly before: string;
  readonly after: string;
}

/** What a run writes about itself while it goes on: metrics.jsonl and TensorBoard events. */
export interface RunLog {
  step(report: StepReport): void;
  /** Writes samples.jsonl and report.html. */
  finish(
    samples: readonly Sample[],
    report: Omit<ReportData, "curve" | "created" | "samples">,
  ): void;
  close(): void;
}

/** Opens the log of a run that stands at `step`; what a killed run wrote about later steps is dropped. */
export function openRunLog(folder: string, step: number): RunLog {
  const paths = runPaths(folder);
  forgetLaterSteps(paths.metrics, step);
  const events = createEventWriter(folder);
  return {
    step(report) {
      const line = {
        step: report.step,
        epoch: report.epoch,
        loss: report.loss,
        accuracy: report.correct / report.counted,
        target_tokens: report.targetTokens,
        gradient_norm: report.gradientNorm,
        gradient_norms: report.partNorms,
        learning_rate: report.learningRate,
        tokens_per_second: report.targetTokens / report.seconds,
        ...report.measures,
      };
      appendJsonLine(paths.metrics, line);
      const plotted = ["loss", "accuracy", "gradient_norm", "learning_rate"] as const;
      for (const [tag, value] of [
        ...plotted.map((tag) => [tag, line[tag]] as const),
        ...Object.entries(report.measures),
      ]) {
        events.scalar(`train/${tag}`, report.step, value);
      }
      for (const [part, norm] of Object.entries(report.partNorms)) {
        events.scalar(`gradient_norm/${part}`, report.step, norm);
      }
    },
    finish(samples, report) {
      writeFileAtomic(
        paths.samples,
        samples.map((sample) => `${JSON.stringify(sample)}\n`).join(""),
      );
      const curve = readJsonLines(paths.metrics) as { step: number; loss: number }[];
      const created = new Date().toISOString();
      writeFileAtomic(
        paths.report,
        renderReport({ ...report, curve, created, samples: [...samples] }),
      );
    },
    close: () => events.close(),
  };
}
