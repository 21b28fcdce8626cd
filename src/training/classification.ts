import type { Batch } from "../data/batches.js";
import type { HostTensor } from "../engines/engine.js";
import { batchInputs, type Objective } from "./gradient.js";

/** The place of each row's last token among the inputs of a batch, whose tokens are all targets. */
export function lastPlaces({ weights, size, length }: Batch): Int32Array {
  return Int32Array.from({ length: size }, (_, row) => {
    let place = (row + 1) * length - 1;
    while (weights[place] === 0) place -= 1;
    return place;
  });
}

/** What a classifier reads of a batch: its ids and positions, and where each text ends. */
export function classifierInputs(batch: Batch): Record<string, HostTensor> {
  const { ids, positions } = batchInputs(batch);
  const rows = lastPlaces(batch);
  return { ids: ids!, positions: positions!, rows: { data: rows, shape: [rows.length] } };
}

/** The mean cross-entropy of rows whose classes these are, by the index of the example. */
export const classificationObjective = (classes: ArrayLike<number>): Objective => ({
  divisor: (step) => step.reduce((sum, { size }) => sum + size, 0),
  inputs(batch, divisor) {
    const shape = [batch.size];
    return {
      ...classifierInputs(batch),
      targets: { data: Int32Array.from(batch.rows, (row) => classes[row]!), shape },
      weights: { data: new Float32Array(batch.size).fill(1 / divisor), shape },
    };
  },
  measure: (outputs, { size }, divisor) => ({
    correct: outputs.correct!.data[0]! * divisor,
    counted: size,
  }),
});
