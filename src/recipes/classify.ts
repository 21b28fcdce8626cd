import { makeBatch } from "../data/batches.js";
import type { Examples } from "../data/exampleStore.js";
import { type Example, frameExample } from "../data/examples.js";
import { FacetError } from "../errors.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { encodeSegments } from "../tokenizers/segments.js";
import { classifierInputs } from "../training/classification.js";

/** What a classifier says of a text. */
export interface Prediction {
  /** The most probable class. */
  readonly label: string;
  readonly probability: number;
  /** Of every class, in the classifier's order. */
  readonly probabilities: Readonly<Record<string, number>>;
}

/**
 * Puts texts into the classes of the session's adapter, which must be a classifier's. A text is cut to the longest that
 * the model takes. Throws a FacetError for an adapter that is none, and for a text without tokens.
 */
export async function classify(session: Session, texts: readonly string[]): Promise<Prediction[]> {
  const tokenizer = requireTokenizer(session.model);
  const longest = session.model.config.maxPositions;
  const examples = texts.map((text, i): Example => {
    const encoded = encodeSegments([{ text, target: true }], tokenizer);
    if (encoded.ids.length === 0) throw new FacetError(`Text ${i + 1} is empty.`);
    return frameExample(encoded, tokenizer, longest, i + 1);
  });
  return classifyExamples(session, examples);
}

/** The same for examples, whose tokens are all targets. `onBatch` is told how many are done. */
export async function classifyExamples(
  session: Session,
  examples: Examples,
  { batchSize = 4, onBatch }: { batchSize?: number; onBatch?: (done: number) => void } = {},
): Promise<Prediction[]> {
  const labels = labelsOf(session);
  const { padId } = requireTokenizer(session.model);
  const lengths = Array.from(examples, ({ ids }) => ids.length);
  const program = await session.classifier(Math.max(2, ...new Set(lengths)));
  const order = [...lengths.keys()].sort((a, b) => lengths[a]! - lengths[b]!);
  const predictions: Prediction[] = new Array(examples.length);
  for (let from = 0; from < order.length; from += batchSize) {
    const batch = makeBatch(examples, order.slice(from, from + batchSize), padId);
    const { logits } = await program.run({ ...classifierInputs(batch), ...session.parameters });
    batch.rows.forEach((row, i) => {
      const own = logits!.data.subarray(i * labels.length, (i + 1) * labels.length);
      predictions[row] = predictionOf(Array.from(own), labels);
    });
    onBatch?.(Math.min(order.length, from + batchSize));
    // The engine blocks while it runs: let signals through between batches.
    await new Promise(setImmediate);
  }
  return predictions;
}

/** The classes of the session's adapter. Throws a FacetError when it is no classifier. */
export function labelsOf({ adapter, model }: Session): readonly string[] {
  if (adapter?.labels !== undefined) return adapter.labels;
  throw new FacetError(
    `${adapter === undefined ? model.name : "The adapter"} is no classifier. Train one with facet finetune --objective classification, and name it with --adapter.`,
  );
}

function predictionOf(logits: readonly number[], labels: readonly string[]): Prediction {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const probabilities = powers.map((power) => power / total);
  const best = logits.indexOf(largest);
  return {
    label: labels[best]!,
    probability: probabilities[best]!,
    // From entries: a label may be named __proto__.
    probabilities: Object.fromEntries(labels.map((label, i) => [label, probabilities[i]!])),
  };
}

/** How a classifier does on rows with labels. */
export interface ClassifierScore {
  /** Mean of −log p(label), in nats. */
  readonly loss: number;
  /** Share of rows put into their class. */
  readonly accuracy: number;
  readonly examples: number;
  readonly classes: readonly {
    readonly label: string;
    /** Rows of this class, rows put into it, and those of the one that are among the other. */
    readonly rows: number;
    readonly predicted: number;
    readonly correct: number;
  }[];
}

/** Compares predictions with the classes of the rows, by their index among the labels. */
export function scoreClassifier(
  predictions: readonly Prediction[],
  classes: ArrayLike<number>,
  labels: readonly string[],
): ClassifierScore {
  const counts = labels.map((label) => ({ label, rows: 0, predicted: 0, correct: 0 }));
  const byLabel = new Map(counts.map((count) => [count.label, count]));
  let loss = 0;
  predictions.forEach(({ label, probabilities }, i) => {
    const own = counts[classes[i]!]!;
    own.rows += 1;
    byLabel.get(label)!.predicted += 1;
    if (label === own.label) own.correct += 1;
    loss -= Math.log(Math.max(Number.MIN_VALUE, probabilities[own.label]!));
  });
  const correct = counts.reduce((sum, count) => sum + count.correct, 0);
  const examples = predictions.length;
  return { loss: loss / examples, accuracy: correct / examples, examples, classes: counts };
}
