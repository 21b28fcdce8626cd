import type { Example } from "../data/examples.js";
import { FacetError } from "../errors.js";
import type { Adapter } from "../lora/adapter.js";
import type { Session } from "../runtime/session.js";
import { trainingInputs } from "../runtime/trainingInputs.js";
import { evaluate } from "../training/evaluate.js";
import { type StepReport, train } from "../training/loop.js";
import type { Optimizer } from "../training/optimizers/optimizer.js";
import { evaluationBatches, exampleSource } from "../training/sources.js";
import type { Callback, Logs } from "./callbacks.js";
import type { SparseCategoricalAccuracy } from "./losses.js";
import type { GemmaCausalLMPreprocessor } from "./preprocessor.js";
import { showProgress } from "./progress.js";

export interface FitOptions {
  readonly epochs?: number;
  /** Rows per step; Keras's default is 32. */
  readonly batchSize?: number;
  /** Visit the rows in a new order every epoch; Keras's default is true. */
  readonly shuffle?: boolean;
  /** Seed of the order and of dropout. */
  readonly seed?: number;
  /** Texts to evaluate after every epoch; their values are named val_…. */
  readonly validationData?: readonly string[];
  readonly callbacks?: readonly Callback[];
  /** 1 shows progress, 2 a line per epoch, 0 nothing. */
  readonly verbose?: 0 | 1 | 2;
}

/** Each epoch's loss and metrics, under Keras's names. */
export interface History {
  readonly history: Readonly<Record<string, number[]>>;
}

interface Setup {
  readonly session: Session;
  readonly adapter: Adapter;
  readonly preprocessor: GemmaCausalLMPreprocessor;
  readonly optimizer: Optimizer;
  readonly learningRate: number;
  readonly metrics: readonly SparseCategoricalAccuracy[];
  /** Asked after every step. */
  readonly shouldStop: () => boolean;
}

export async function fitAdapter(
  texts: readonly string[],
  options: FitOptions,
  setup: Setup,
): Promise<History> {
  const { epochs = 1, batchSize = 32, shuffle = true, seed = 0, verbose = 1 } = options;
  requireCounts({ epochs, batchSize });
  const examples = examplesOf(texts, "fit", setup.preprocessor);
  const validation =
    options.validationData &&
    examplesOf(options.validationData, "validationData", setup.preprocessor);
  const { session, adapter, preprocessor, metrics } = setup;
  const { sequenceLength, tokenizer } = preprocessor;
  const source = exampleSource(examples, { batchSize, padId: tokenizer.padId, seed, shuffle });
  const history: Record<string, number[]> = {};
  const callbacks = options.callbacks ?? [];
  const logsOf = (loss: number, accuracy: number, prefix = ""): Record<string, number> => ({
    [`${prefix}loss`]: loss,
    ...Object.fromEntries(metrics.map(({ name }) => [`${prefix}${name}`, accuracy])),
  });

  const onStep = async (report: StepReport): Promise<void> => {
    const steps = source.stepsIn(report.epoch);
    const batch = (report.step - 1) % steps;
    let logs: Logs = logsOf(report.epochLoss, report.epochAccuracy);
    for (const callback of callbacks) await callback.onTrainBatchEnd?.(batch, logs);
    if (report.epochEnded && validation !== undefined) {
      const { loss, accuracy } = await validate(validation, session, preprocessor);
      logs = { ...logs, ...logsOf(loss, accuracy, "val_") };
    }
    if (verbose > 0)
      showProgress({ epoch: report.epoch, epochs, batch, steps, logs, live: verbose === 1 });
    if (!report.epochEnded) return;
    for (const [name, value] of Object.entries(logs))
      history[name] = [...(history[name] ?? []), value];
    for (const callback of callbacks) await callback.onEpochEnd?.(report.epoch, logs);
    if (report.epoch + 1 === epochs || setup.shouldStop()) return;
    for (const callback of callbacks) await callback.onEpochBegin?.(report.epoch + 1);
  };

  for (const callback of callbacks) await callback.onTrainBegin?.();
  for (const callback of callbacks) await callback.onEpochBegin?.(0);
  await train({
    program: await session.training(sequenceLength, { recompute: false }),
    parameters: adapter.parameters,
    optimizer: setup.optimizer,
    schedule: () => setup.learningRate,
    source,
    totalSteps: epochs * source.stepsIn(0),
    objective: { kind: "keras", sequenceLength },
    extraInputs: trainingInputs(adapter, seed),
    onStep,
    shouldStop: setup.shouldStop,
  });
  for (const callback of callbacks) await callback.onTrainEnd?.();
  return { history };
}

function requireCounts(counts: Record<string, number>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new FacetError(`fit's ${name} must be a whole number from 1, not ${value}.`);
    }
  }
}

function examplesOf(
  texts: readonly string[],
  what: string,
  preprocessor: GemmaCausalLMPreprocessor,
): Example[] {
  if (texts.length === 0) throw new FacetError(`${what} was given no texts.`);
  return texts.map((text, i) => preprocessor.example(text, i + 1));
}

/** Loss with Keras's reduction, and accuracy. */
async function validate(
  examples: readonly Example[],
  session: Session,
  { sequenceLength, tokenizer }: GemmaCausalLMPreprocessor,
): Promise<{ loss: number; accuracy: number }> {
  const batches = evaluationBatches(examples, 8, tokenizer.padId);
  const program = await session.evaluation(sequenceLength);
  const result = await evaluate(program, session.parameters, batches);
  const places = examples.length * sequenceLength;
  return { loss: (result.loss * result.target_tokens) / places, accuracy: result.accuracy };
}
