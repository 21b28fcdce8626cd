import type { Parameters } from "../engines/parameters.js";
import { writeFileAtomic } from "../formats/atomicFile.js";
import { createEventWriter } from "../formats/tensorboard.js";
import { type ReportData, renderReport } from "../report/report.js";
import type { Assessment } from "../training/evaluate.js";
import type { StepReport } from "../training/loop.js";
import type { Validation } from "../training/validations.js";
import { appendJsonLine, forgetLaterSteps, readJsonLines, runPaths } from "./runFolder.js";
import { type Interval, noInterval } from "./runNotes.js";

/** An answer of the base model and of the tuned one. */
export interface Sample {
  readonly prompt: string;
  readonly before: string;
  readonly after: string;
}

/** A line of metrics.jsonl: means over the steps since the line before, the rest of the step itself. */
export interface StepMetrics {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  /** Of next tokens only. */
  readonly perplexity?: number;
  readonly accuracy: number;
  readonly target_tokens: number;
  readonly gradient_norm: number;
  readonly gradient_norms: Readonly<Record<string, number>>;
  readonly learning_rate: number;
  readonly tokens_per_second: number;
  /** Resident bytes of the process. */
  readonly memory: number;
  /** What else the objective measures. */
  readonly [measure: string]: number | Readonly<Record<string, number>>;
}

/** What a run writes about itself while it goes on: metrics.jsonl, samples-during.jsonl and TensorBoard events. */
export interface RunLog {
  /** Adds a step to the interval; with `due`, writes the line, and gives it. */
  step(report: StepReport, due: boolean): StepMetrics | undefined;
  /** What was added since the last line. */
  readonly interval: Interval;
  evaluation(step: number, result: Assessment): void;
  sample(step: number, prompt: string, text: string): void;
  histograms(step: number, parameters: Parameters): void;
  /** Writes samples.jsonl and report.html. */
  finish(
    samples: readonly Sample[],
    validation: readonly Validation[],
    report: Omit<ReportData, "curve" | "created" | "samples" | "validation">,
  ): void;
  close(): void;
}

/** Opens the log of a run that stands at `step`; what a killed run wrote about later steps is dropped. */
export function openRunLog(
  folder: string,
  step: number,
  start: { readonly interval: Interval; readonly hasPerplexity: boolean },
): RunLog {
  const paths = runPaths(folder);
  forgetLaterSteps(paths.metrics, step);
  forgetLaterSteps(paths.samplesDuring, step);
  const events = createEventWriter(folder);
  let { interval } = start;
  // Only of this process: speed is no part of what a resumed run repeats.
  const timed = { tokens: 0, seconds: 0 };
  return {
    get interval() {
      return interval;
    },
    step(report, due) {
      interval = added(interval, report);
      timed.tokens += report.targetTokens;
      timed.seconds += report.seconds;
      if (!due) return undefined;
      const line = metricsOf(report, interval, timed, start.hasPerplexity);
      interval = noInterval;
      [timed.tokens, timed.seconds] = [0, 0];
      appendJsonLine(paths.metrics, line);
      for (const [tag, value] of Object.entries(line)) {
        if (typeof value === "number" && tag !== "step") {
          events.scalar(`train/${tag}`, report.step, value);
        }
      }
      for (const [layer, norm] of Object.entries(line.gradient_norms)) {
        events.scalar(`gradient_norm/${layer}`, report.step, norm);
      }
      return line;
    },
    evaluation(at, { examples: _, measures = {}, ...result }) {
      const values = Object.entries({ ...result, ...measures }).filter(
        ([name]) => name !== "target_tokens",
      );
      const line = values.map(([name, value]) => [`held_out_${name}`, value]);
      appendJsonLine(paths.metrics, { step: at, ...Object.fromEntries(line) });
      for (const [name, value] of values) events.scalar(`validation/${name}`, at, value);
    },
    sample(at, prompt, text) {
      appendJsonLine(paths.samplesDuring, { step: at, prompt, text });
      events.text(`samples/${prompt}`, at, text);
    },
    histograms(at, { slots, values, gradients }) {
      for (const { name, offset, length } of slots) {
        const part = (buffer: Float32Array) => buffer.subarray(offset, offset + length);
        events.histogram(`variables/${name}`, at, part(values));
        events.histogram(`gradients/${name}`, at, part(gradients));
      }
    },
    finish(samples, validation, report) {
      writeFileAtomic(
        paths.samples,
        samples.map((sample) => `${JSON.stringify(sample)}\n`).join(""),
      );
      const lines = readJsonLines(paths.metrics) as { step: number; loss?: number }[];
      const curve = lines.flatMap(({ step: at, loss }) =>
        loss === undefined ? [] : [{ step: at, loss }],
      );
      const created = new Date().toISOString();
      writeFileAtomic(
        paths.report,
        renderReport({
          ...report,
          ...{ curve, created, samples: [...samples], validation: [...validation] },
        }),
      );
    },
    close: () => events.close(),
  };
}

function added(interval: Interval, report: StepReport): Interval {
  const measures = Object.entries(report.measures).map(([name, value]) => [
    name,
    (interval.measures[name] ?? 0) + value * report.counted,
  ]);
  return {
    lossSum: interval.lossSum + report.loss * report.counted,
    correct: interval.correct + report.correct,
    counted: interval.counted + report.counted,
    targetTokens: interval.targetTokens + report.targetTokens,
    measures: Object.fromEntries(measures),
  };
}

function metricsOf(
  report: StepReport,
  { lossSum, correct, counted, targetTokens, measures }: Interval,
  timed: { readonly tokens: number; readonly seconds: number },
  hasPerplexity: boolean,
): StepMetrics {
  const loss = lossSum / counted;
  const means = Object.entries(measures).map(([name, sum]) => [name, sum / counted]);
  return {
    step: report.step,
    epoch: report.epoch,
    loss,
    ...(hasPerplexity && { perplexity: Math.exp(loss) }),
    accuracy: correct / counted,
    target_tokens: targetTokens,
    gradient_norm: report.gradientNorm,
    gradient_norms: report.partNorms,
    learning_rate: report.learningRate,
    tokens_per_second: timed.tokens / timed.seconds,
    memory: process.memoryUsage.rss(),
    ...Object.fromEntries(means),
  };
}
