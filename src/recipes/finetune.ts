import { existsSync } from "node:fs";
import type { Engine } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import type { Adapter } from "../lora/adapter.js";
import { headAlone } from "../lora/classifierHead.js";
import { parameterCount } from "../models/gemma/model.js";
import { refuseTooLarge } from "../runtime/memory.js";
import { openSession } from "../runtime/session.js";
import { trainingInputs } from "../runtime/trainingInputs.js";
import { checkpointAt, latestCheckpoint, loadCheckpoint } from "../training/checkpoints.js";
import { type LoopState, startState, type TrainOptions, train } from "../training/loop.js";
import { type Optimizer, stateBytes } from "../training/optimizers/optimizer.js";
import { measurePace } from "../training/pace.js";
import { schedule } from "../training/schedules.js";
import { bestOf } from "../training/validations.js";
import { validated } from "../validation.js";
import { assess } from "./assess.js";
import { type FinetuneConfig, type FinetuneInput, finetuneSchema } from "./finetuneConfig.js";
import type { FinetuneEvent, FinetuneResult } from "./finetuneEvents.js";
import { reportOf } from "./finetuneReport.js";
import { memoryOf } from "./fitMemory.js";
import { followSteps, hasStopped } from "./followSteps.js";
import { loraFields } from "./loraConfig.js";
import { openObjective } from "./objective.js";
import { optimizerOf } from "./optimizerOf.js";
import { describeRun, type Prepared, plannedOf, prepare, withAbsolutePaths } from "./prepare.js";
import { type RunCallback, tell } from "./runCallback.js";
import {
  createRunFolder,
  discardIfUnstarted,
  reopenRunFolder,
  runPaths,
  writeJson,
} from "./runFolder.js";
import { openRunLog } from "./runLog.js";
import { type RunNotes, readNotes, startOfRun } from "./runNotes.js";
import { changedInputs, readSavedRun, recordEngine } from "./savedRun.js";
import { startAdapter } from "./startAdapter.js";
import { writeAdapter } from "./writeAdapter.js";
import { writeWhole } from "./writeWhole.js";

export interface FinetuneHooks {
  readonly onEvent?: (event: FinetuneEvent) => void;
  readonly callbacks?: readonly RunCallback[];
  /** Aborting it ends the run after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** For a model or data that are not on this machine. */
  readonly download?: DownloadHooks;
}

/** Starts a new fine-tuning run. Throws a FacetError before anything is loaded if it cannot be done. */
export async function finetune(
  input: FinetuneInput,
  engine: Engine,
  hooks: FinetuneHooks = {},
): Promise<FinetuneResult> {
  const config = withAbsolutePaths(validated(finetuneSchema, input, "finetune"));
  refuseIgnored(config);
  const prepared = await prepare(config, hooks.download);
  const { model, run, learningRate, microBatchSize, recompute, weights } = prepared.config;
  const fit = { microBatchSize: microBatchSize ?? 0, recompute, weights };
  const open = { model, run, learningRate, ...(config.memory !== undefined && fit) };
  const chosen = Object.entries(open).filter(
    ([name]) => input[name as keyof typeof open] === undefined,
  );
  if (chosen.length > 0) hooks.onEvent?.({ kind: "chosen", options: Object.fromEntries(chosen) });
  return startRun(prepared, engine, hooks);
}

/** Starts what was prepared, in the folder that its configuration names. */
export async function startRun(
  prepared: Prepared,
  engine: Engine,
  hooks: FinetuneHooks = {},
): Promise<FinetuneResult> {
  const folder = createRunFolder(prepared.config.run);
  return discardIfUnstarted(folder, async () => {
    writeJson(runPaths(folder).run, await describeRun(prepared, engine));
    return execute(folder, prepared, engine, hooks);
  });
}

/** Continues an interrupted run from its last checkpoint, with the configuration it was started with. */
export async function resumeFinetune(
  run: string,
  engine: Engine,
  hooks: FinetuneHooks = {},
): Promise<FinetuneResult> {
  const folder = reopenRunFolder(run);
  if (existsSync(runPaths(folder).report)) {
    throw new FacetError(`The run in ${folder} is finished; there is nothing to resume.`);
  }
  const saved = readSavedRun(folder);
  const prepared = await prepare(saved.config, hooks.download);
  const changed = changedInputs(saved, (await describeRun(prepared, engine)).digests);
  if (changed.length > 0) {
    throw new FacetError(
      `The data, the template or the base model of ${folder} has changed since the run started (${changed.join(", ")}), so it cannot be continued exactly. Start a new run.`,
    );
  }
  recordEngine(saved, engine);
  return execute(folder, prepared, engine, hooks);
}

/** Of fewer steps the first one says soon enough how long they take. */
const worthTiming = 10;

async function execute(
  folder: string,
  prepared: Prepared,
  engine: Engine,
  { onEvent = () => {}, callbacks = [], signal }: FinetuneHooks,
): Promise<FinetuneResult> {
  const told = async (event: FinetuneEvent) => {
    onEvent(event);
    await tell(callbacks, event, { folder, config: prepared.config });
  };
  const { config, model, dataset, shares, source, totalSteps } = prepared;
  const { parameters } = prepared.adapter;
  const paths = runPaths(folder);
  const trainable = parameters.values.length;
  onEvent({ kind: "data", dataset, shares });

  const { optimizer, finish } = optimizerOf(config, parameters.slots);
  const memory = memoryOf(model, plannedOf(prepared, stateBytes(optimizer)), {
    microBatchSize: config.microBatchSize ?? config.batchSize,
    recompute: config.recompute,
  });
  const learningRate = schedule(config.schedule, { ...config, totalSteps });
  const { start, notes } = restore(paths.checkpoints, prepared.adapter, optimizer);
  const plan = {
    ...({ kind: "plan", memory, trainable, totalSteps, firstStep: start.step } as const),
    parameters: parameterCount(model.config),
  };
  onEvent(plan);
  refuseTooLarge(memory);
  // Others hear of a run only when it can be.
  await tell(callbacks, plan, { folder, config });
  const adapter = await startAdapter(folder, prepared, engine);

  // Without its head a classifier is none.
  const untrained = prepared.labels && headAlone(prepared.labels.names, model.config, config.seed);
  const base = openSession(model, engine, untrained);
  const tuned = openSession(model, engine, adapter);
  const log = openRunLog(folder, start.step, {
    interval: notes.interval,
    hasPerplexity: config.objective === "sft",
  });
  const began = performance.now();
  try {
    const learned = await openObjective(folder, prepared, base, onEvent);
    const before = await assess("before", 0, base, prepared, learned, told);
    // Every open program maps the weights; the ones not needed for a while are closed.
    await base.close();
    const trained = { tokens: 0, seconds: 0, loss: Number.NaN, accuracy: Number.NaN };
    const { hiddenSize } = model.config;
    const noise = config.neftune === undefined ? undefined : { alpha: config.neftune, hiddenSize };
    const run = { folder, prepared, session: tuned, adapter, optimizer, finish, log, notes, start };
    const steps = followSteps({ ...run, learned, tell: told, signal });
    // A run that had stopped early when it was killed has no step left.
    const lastStep = hasStopped(config, notes) ? start.step : totalSteps;
    const options: TrainOptions = {
      program: await tuned.training(config.sequenceLength, {
        recompute: config.recompute,
        noise: noise !== undefined,
        programs: learned.programs,
      }),
      parameters,
      optimizer,
      schedule: learningRate,
      source,
      totalSteps: lastStep,
      objective: learned.objective,
      clipNorm: config.clipNorm,
      start,
      extraInputs: trainingInputs(adapter, config.seed, noise),
      onStep: async (report, state) => {
        trained.tokens += report.targetTokens;
        trained.seconds += report.seconds;
        trained.loss = report.epochLoss;
        trained.accuracy = report.epochAccuracy;
        await steps.onStep(report, state);
      },
      shouldStop: steps.shouldStop,
    };
    const toGo = lastStep - start.step;
    if (toGo >= worthTiming) {
      onEvent({ kind: "pace", secondsPerStep: await measurePace(options, start), steps: toGo });
    }
    const end = await train(options).catch(async (error) => {
      await steps.saveLast();
      throw error;
    });
    await tuned.close();
    const [best] = bestOf(notes.validations, 1);
    const stoppedEarly = hasStopped(config, notes);
    const finished = end.step === totalSteps || stoppedEarly;
    if (finished && config.useBest) {
      loadCheckpoint(checkpointAt(paths.checkpoints, best!.step), parameters, optimizer);
    }
    finish(parameters.values);
    if (config.method === "lora") await writeAdapter(paths.adapter, adapter, model);
    else if (finished) await writeWhole(paths.model, adapter, model);
    const after = finished
      ? await assess("after", end.step, tuned, prepared, learned, told)
      : undefined;
    const samples = (after?.samples ?? []).map(({ prompt, text }, i) => ({
      prompt,
      before: before.samples[i]!.text,
      after: text,
    }));
    const result: FinetuneResult = {
      run: folder,
      status: finished ? "finished" : "interrupted",
      steps: end.step,
      stoppedEarly,
      best,
      method: config.method,
      trainableParameters: trainable,
      loss: trained.loss,
      accuracy: trained.accuracy,
      heldOut: before.heldOut && after?.heldOut && { before: before.heldOut, after: after.heldOut },
      samples,
      tokensPerSecond: trained.tokens / trained.seconds,
      seconds: (performance.now() - began) / 1000,
    };
    if (finished) log.finish(samples, notes.validations, reportOf(result, prepared));
    for (const callback of callbacks) await callback.onEnd?.(result);
    return result;
  } catch (error) {
    for (const callback of callbacks) await callback.onError?.(error);
    throw error;
  } finally {
    log.close();
    for (const session of [base, tuned]) await session.close();
  }
}

/** Throws a FacetError for options of an adapter where all weights are trained. */
function refuseIgnored(config: FinetuneConfig): void {
  if (config.method !== "full") return;
  const { model, data, run } = config;
  const defaults = finetuneSchema.parse({ model, data, run });
  const ofAdapters = ["alsoTrain", "loraPlusRatio", ...Object.keys(loraFields)] as const;
  const ignored = (ofAdapters as readonly (keyof FinetuneConfig)[]).filter(
    (key) => JSON.stringify(config[key]) !== JSON.stringify(defaults[key]),
  );
  if (ignored.length === 0) return;
  throw new FacetError(
    `method "full" trains all weights and no adapter, so ${ignored.join(", ")} would be ignored. Leave ${ignored.length === 1 ? "it" : "them"} out.`,
  );
}

function restore(
  checkpoints: string,
  { parameters }: Adapter,
  optimizer: Optimizer,
): { start: LoopState; notes: RunNotes } {
  const latest = latestCheckpoint(checkpoints);
  if (latest === undefined) return { start: startState, notes: startOfRun() };
  return { start: loadCheckpoint(latest, parameters, optimizer), notes: readNotes(latest) };
}
