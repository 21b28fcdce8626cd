import type { Batch } from "../data/batches.js";
import type { Executable, HostTensor } from "../engines/engine.js";
import { batchInputs } from "./gradient.js";

/** What a model makes of the target tokens of one row. */
export interface RowScore {
  /** Which example it is. */
  readonly row: number;
  /** Σ of the target tokens' cross-entropy, in nats. */
  readonly loss: number;
  /** Target tokens whose most likely id is right. */
  readonly correct: number;
  readonly tokens: number;
}

/** As `evaluate`, but of every row; in the order of the batches. */
export async function scoreRows(
  program: Executable,
  parameters: Readonly<Record<string, HostTensor>>,
  batches: Iterable<Batch>,
): Promise<RowScore[]> {
  const scores: RowScore[] = [];
  for (const batch of batches) {
    const inputs = batchInputs(batch);
    const outputs = await program.run({ ...inputs, ...parameters });
    const [losses, correct] = [outputs.rowLoss!.data, outputs.rowCorrect!.data];
    const sums = batch.rows.map((row) => ({ row, loss: 0, correct: 0, tokens: 0 }));
    inputs.rows!.data.forEach((place, i) => {
      const sum = sums[Math.floor(place / batch.length)]!;
      sum.loss += losses[i]!;
      sum.correct += correct[i]!;
      sum.tokens += 1;
    });
    scores.push(...sums);
    // The engine blocks while it runs: let signals through between batches.
    await new Promise(setImmediate);
  }
  return scores;
}
