import type { Batch } from "../data/batches.js";
import type { Executable, HostTensor } from "../engines/engine.js";
import { nextToken, type Objective } from "./gradient.js";

/** What every objective can say about examples. */
export interface Assessment {
  /** Mean of what is minimised. */
  readonly loss: number;
  /** Share of right decisions: tokens, pairs or rows. */
  readonly accuracy: number;
  readonly examples: number;
  /** Means of what else the objective measures. */
  readonly measures?: Readonly<Record<string, number>>;
}

/** Of next tokens: `loss` is the mean cross-entropy per target token, in nats. */
export interface Evaluation extends Assessment {
  readonly perplexity: number;
  readonly target_tokens: number;
}

/** Loss and accuracy of next tokens over batches, each token counting the same. */
export async function evaluate(
  program: Executable,
  parameters: Readonly<Record<string, HostTensor>>,
  batches: Iterable<Batch>,
): Promise<Evaluation> {
  const objective = nextToken({ kind: "mean" });
  const { counted, ...assessment } = await assessed(program, parameters, batches, objective);
  const { loss, accuracy, examples } = assessment;
  return { loss, perplexity: Math.exp(loss), accuracy, target_tokens: counted, examples };
}

/** The same for another objective, with its evaluation program. */
export async function evaluateObjective(
  program: Executable,
  parameters: Readonly<Record<string, HostTensor>>,
  batches: Iterable<Batch>,
  objective: Objective,
): Promise<Assessment> {
  const { counted: _, ...assessment } = await assessed(program, parameters, batches, objective);
  return assessment;
}

async function assessed(
  program: Executable,
  parameters: Readonly<Record<string, HostTensor>>,
  batches: Iterable<Batch>,
  objective: Objective,
) {
  const totals = { loss: 0, correct: 0, counted: 0, examples: 0 };
  const sums: Record<string, number> = {};
  for (const batch of batches) {
    const outputs = await program.run({ ...objective.inputs(batch, 1), ...parameters });
    const measured = objective.measure(outputs, batch, 1);
    totals.loss += outputs.loss!.data[0]!;
    totals.correct += measured.correct;
    totals.counted += measured.counted;
    totals.examples += batch.rows.length;
    for (const [name, value] of Object.entries(measured.sums ?? {})) {
      sums[name] = (sums[name] ?? 0) + value;
    }
    // The engine blocks while it runs: let signals through between batches.
    await new Promise(setImmediate);
  }
  const mean = (sum: number) => sum / totals.counted;
  return {
    loss: mean(totals.loss),
    accuracy: mean(totals.correct),
    examples: totals.examples,
    counted: totals.counted,
    measures: Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, mean(sum)])),
  };
}
