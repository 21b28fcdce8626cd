import type { Batch } from "../data/batches.js";
import type { Executable, HostTensor } from "../engines/engine.js";
import { batchInputs } from "./gradient.js";

export interface Evaluation {
  /** Mean cross-entropy per target token, in nats. */
  readonly loss: number;
  readonly perplexity: number;
  /** Share of target tokens whose most likely id is right. */
  readonly accuracy: number;
  readonly target_tokens: number;
  readonly examples: number;
}

/** Loss and accuracy over batches, each token counting the same. */
export async function evaluate(
  program: Executable,
  parameters: Readonly<Record<string, HostTensor>>,
  batches: Iterable<Batch>,
): Promise<Evaluation> {
  const sums = { loss: 0, correct: 0, tokens: 0, examples: 0 };
  for (const batch of batches) {
    const outputs = await program.run({ ...batchInputs(batch), ...parameters });
    sums.loss += outputs.loss!.data[0]!;
    sums.correct += outputs.correct!.data[0]!;
    sums.tokens += batch.targetTokens;
    sums.examples += batch.size;
    // The engine blocks while it runs: let signals through between batches.
    await new Promise(setImmediate);
  }
  const loss = sums.loss / sums.tokens;
  return {
    loss,
    perplexity: Math.exp(loss),
    accuracy: sums.correct / sums.tokens,
    target_tokens: sums.tokens,
    examples: sums.examples,
  };
}
