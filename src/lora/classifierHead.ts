import { views } from "../engines/parameters.js";
import { headName } from "../formats/peftLabels.js";
import { createRandom } from "../random.js";
import type { Adapter } from "./adapter.js";
import { type WholeTensor, wholeAdapter } from "./whole.js";

/** Standard deviation of a new head: Gemma's `initializer_range` in Transformers. */
const DEVIATION = 0.02;

/** No variable of an adapter has this index. */
const INDEX = 1_000_003;

/** The head of a classifier as a tensor that an adapter holds: a row for each class. */
export const headTensor = (classes: number, hiddenSize: number): WholeTensor => ({
  name: headName,
  shape: [classes, hiddenSize],
});

/** An adapter with `headTensor` among its parameters, with initial values for that; the same seed gives the same. */
export function startHead(adapter: Adapter, labels: readonly string[], seed: number): Adapter {
  const { data } = views(adapter.parameters.slots, adapter.parameters.values)[headName]!;
  const random = createRandom({ seed, stream: "init", index: INDEX });
  for (let i = 0; i < data.length; i++) {
    // Box and Muller; 1 − u is never zero.
    const radius = Math.sqrt(-2 * Math.log(1 - random.uniform()));
    data[i] = DEVIATION * radius * Math.cos(2 * Math.PI * random.uniform());
  }
  return { ...adapter, labels };
}

/** A new head on the model as it is: what a classifier is before it is trained. */
export const headAlone = (
  labels: readonly string[],
  { hiddenSize }: { readonly hiddenSize: number },
  seed: number,
): Adapter => startHead(wholeAdapter([headTensor(labels.length, hiddenSize)]), labels, seed);

/** Whether a tensor is the model's, not a classifier's head. */
export const isOfModel = (name: string): boolean => name !== headName;
