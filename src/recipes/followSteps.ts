import type { Adapter } from "../lora/adapter.js";
import type { Session } from "../runtime/session.js";
import { saveCheckpoint } from "../training/checkpoints.js";
import type { LoopState, StepReport } from "../training/loop.js";
import { refuseBadLosses, watchLoss } from "../training/lossWatch.js";
import type { Optimizer } from "../training/optimizers/optimizer.js";
import { bestOf, isDue, isExhausted } from "../training/validations.js";
import { answer, requireFinite } from "./assess.js";
import type { FinetuneConfig } from "./finetuneConfig.js";
import type { FinetuneEvent } from "./finetuneEvents.js";
import type { RunObjective } from "./objective.js";
import type { Prepared } from "./prepare.js";
import { runPaths } from "./runFolder.js";
import type { RunLog } from "./runLog.js";
import type { RunNotes } from "./runNotes.js";

export interface Followed {
  readonly folder: string;
  readonly prepared: Prepared;
  readonly learned: RunObjective;
  readonly session: Session;
  readonly adapter: Adapter;
  readonly optimizer: Optimizer;
  /** Puts the result of training so far, such as an average, in the parameters' place. */
  readonly finish: (values: Float32Array) => void;
  readonly log: RunLog;
  /** As the run stands; changed by every step. */
  readonly notes: RunNotes;
  readonly start: LoopState;
  readonly tell: (event: FinetuneEvent) => Promise<void>;
  readonly signal: AbortSignal | undefined;
}

/** What a run does after every step: metrics, watchdogs, validation, samples, checkpoints. */
export function followSteps(run: Followed) {
  const { prepared, adapter, optimizer, log, notes, tell, signal, start } = run;
  const { config, source, totalSteps } = prepared;
  const { parameters } = adapter;
  let last = start;

  const save = async (state: LoopState) => {
    const path = await saveCheckpoint(
      runPaths(run.folder).checkpoints,
      parameters,
      optimizer,
      state,
      config.keepLast,
      { besides: bestSteps(config, notes), notes: { ...notes, interval: log.interval } },
    );
    await tell({ kind: "checkpoint", step: state.step, path });
  };

  /** Lets `look` see what the run would give if it ended here. */
  const asResult = async (look: () => Promise<void>) => {
    if (config.ema === undefined) return look();
    const kept = parameters.values.slice();
    run.finish(parameters.values);
    try {
      await look();
    } finally {
      parameters.values.set(kept);
    }
  };

  const validate = async (step: number) => {
    const result = requireFinite(await run.learned.assess(run.session));
    log.evaluation(step, result);
    notes.validations.push({ step, loss: result.loss });
    await tell({ kind: "evaluation", when: "during", step, result });
  };

  const sample = async (step: number) => {
    for (const prompt of config.prompts) {
      const text = await answer(run.session, prepared, prompt);
      log.sample(step, prompt, text);
      await tell({ kind: "sample", when: "during", step, prompt, text });
    }
  };

  return {
    async onStep(report: StepReport, state: LoopState): Promise<void> {
      const { step } = state;
      const isLast = step === totalSteps;
      const line = log.step(report, step % config.logEvery === 0 || isLast);
      last = state;
      await tell({ kind: "step", report, totalSteps });
      if (line !== undefined) await tell({ kind: "metrics", metrics: line });
      if (isMultiple(step, config.histogramEvery)) log.histograms(step, parameters);
      notes.watch = watchLoss(notes.watch, report.loss);
      refuseBadLosses(notes.watch, config, step);

      const every = { steps: config.evaluateEvery, epochs: config.evaluateEpochs };
      const evaluates = every.steps !== undefined || every.epochs !== undefined;
      const places = placesOf(report, state, (epoch) => source.stepsIn(epoch));
      const validates = evaluates && (isLast || isDue(every, { step, ...places }));
      if (validates) await asResult(() => validate(step));
      if (isMultiple(step, config.sampleEvery) && !isLast) await asResult(() => sample(step));
      const isBest = validates && bestSteps(config, notes).includes(step);
      const due = step % config.saveEvery === 0 || isLast || isBest || hasStopped(config, notes);
      if (due || signal?.aborted) await save(state);
    },
    shouldStop: () => (signal?.aborted ?? false) || hasStopped(config, notes),
    /** Keeps what was learned before a step that was refused, if there is something and the disk allows. */
    async saveLast(): Promise<void> {
      // After an error elsewhere, the parameters may be a step ahead of what was noted.
      if (last.step > start.step && optimizer.step === last.step) await save(last).catch(() => {});
    },
  };
}

/** Whether the validations of a run have ended it early. */
export const hasStopped = ({ patience, minDelta }: FinetuneConfig, { validations }: RunNotes) =>
  patience !== undefined && isExhausted(validations, { patience, minDelta });

const bestSteps = ({ keepBest, useBest }: FinetuneConfig, { validations }: RunNotes) =>
  bestOf(validations, Math.max(keepBest, useBest ? 1 : 0)).map(({ step }) => step);

const isMultiple = (step: number, every: number | undefined) =>
  every !== undefined && step % every === 0;

/** Where a step begins and ends in the data, in epochs. */
function placesOf(report: StepReport, state: LoopState, stepsIn: (epoch: number) => number) {
  const steps = stepsIn(report.epoch);
  const done = report.epochEnded ? steps : state.index;
  return { before: report.epoch + (done - 1) / steps, after: report.epoch + done / steps };
}
