import { FacetError } from "../errors.js";
import type { Adapter } from "../lora/adapter.js";
import type { Session } from "../runtime/session.js";
import { type StepReport, train } from "../training/loop.js";
import type { Optimizer } from "../training/optimizers.js";
import { exampleSource } from "../training/sources.js";
import type { SparseCategoricalAccuracy } from "./losses.js";
import type { GemmaCausalLMPreprocessor } from "./preprocessor.js";

export interface FitOptions {
  readonly epochs?: number;
  /** Rows per step; Keras's default is 32. */
  readonly batchSize?: number;
  /** Visit the rows in a new order every epoch; Keras's default is true. */
  readonly shuffle?: boolean;
  readonly seed?: number;
  /** 1 shows progress, 2 a line per epoch, 0 nothing. */
  readonly verbose?: 0 | 1 | 2;
  /** Called after every step. */
  readonly onStep?: (report: StepReport) => void;
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
}

export async function fitAdapter(
  texts: readonly string[],
  options: FitOptions,
  setup: Setup,
): Promise<History> {
  const { epochs = 1, batchSize = 32, shuffle = true, seed = 0, verbose = 1 } = options;
  for (const [name, value] of Object.entries({ epochs, batchSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new FacetError(`fit's ${name} must be a whole number from 1, not ${value}.`);
    }
  }
  if (texts.length === 0) throw new FacetError("fit was given no texts.");
  const { session, adapter, preprocessor, optimizer, learningRate, metrics } = setup;
  const examples = texts.map((text, i) => preprocessor.example(text, i + 1));
  const padId = preprocessor.tokenizer.padId;
  const source = exampleSource(examples, { batchSize, padId, seed, shuffle });
  const history: Record<string, number[]> = { loss: [] };
  for (const { name } of metrics) history[name] = [];
  const { sequenceLength } = preprocessor;
  await train({
    program: await session.training(sequenceLength, { recompute: false }),
    parameters: adapter.parameters,
    optimizer,
    schedule: () => learningRate,
    source,
    totalSteps: epochs * source.stepsPerEpoch,
    reduction: { kind: "keras", sequenceLength },
    onStep: (report) => {
      if (report.epochEnded) {
        history.loss!.push(report.epochLoss);
        for (const { name } of metrics) history[name]!.push(report.epochAccuracy);
      }
      if (verbose > 0) show(report, { epochs, steps: source.stepsPerEpoch, metrics, verbose });
      options.onStep?.(report);
    },
  });
  return { history };
}

interface Display {
  readonly epochs: number;
  readonly steps: number;
  readonly metrics: readonly SparseCategoricalAccuracy[];
  readonly verbose: number;
}

/** Progress as Keras shows it; a line that rewrites itself on a terminal, else one line per epoch. */
function show(report: StepReport, { epochs, steps, metrics, verbose }: Display): void {
  const live = verbose === 1 && process.stdout.isTTY;
  if (!live && !report.epochEnded) return;
  const done = ((report.step - 1) % steps) + 1;
  const values = [
    `loss: ${report.epochLoss.toFixed(4)}`,
    ...metrics.map(({ name }) => `${name}: ${report.epochAccuracy.toFixed(4)}`),
  ];
  const line = `Epoch ${report.epoch + 1}/${epochs} ${done}/${steps} - ${values.join(" - ")}`;
  process.stdout.write(live ? `\r\x1b[K${line}${report.epochEnded ? "\n" : ""}` : `${line}\n`);
}
