import type { Slot } from "../../engines/parameters.js";
import {
  type CommonOptions,
  momentOf,
  type Optimizer,
  optimizerOf,
  requireRanges,
  type VariableRule,
} from "./optimizer.js";

export interface AdafactorOptions extends CommonOptions {
  /** Exponent c of β₂ = 1 − tᶜ; default −0.8. */
  readonly beta2Decay?: number | undefined;
  /** Added to g²; default 1e-30. */
  readonly epsilon1?: number | undefined;
  /** Least root mean square that a variable is taken to have; default 1e-3. */
  readonly epsilon2?: number | undefined;
  /** Root mean square beyond which an update is scaled down; default 1. */
  readonly clipThreshold?: number | undefined;
}

/**
 * Adafactor (Shazeer and Stern 2018, arXiv:1804.04235, algorithms 4 and 5), with the learning rate
 * as the cap of the relative step, as in Keras (keras/src/optimizers/adafactor.py): the second
 * moment of a matrix is kept as the means of its rows and columns. A variable of more axes is a
 * stack of matrices; one of fewer keeps the whole moment. A variable moves by
 * max(epsilon2, rms(p)) · min(lr, 1 / √t).
 */
export function adafactor(slots: readonly Slot[], options: AdafactorOptions = {}): Optimizer {
  const { beta2Decay = -0.8, epsilon1 = 1e-30, epsilon2 = 1e-3 } = options;
  const { clipThreshold = 1, weightDecay = 0 } = options;
  requireRanges("Adafactor", { "negated beta2 decay": -beta2Decay, epsilon1, epsilon2 });
  requireRanges("Adafactor", { "clip threshold": clipThreshold, "weight decay": weightDecay });
  return optimizerOf(
    "adafactor",
    slots,
    options,
    () => weightDecay,
    (slot) => {
      const moment = slot.shape.length < 2 ? wholeMoment(slot) : factoredMoment(slot);
      return {
        state: moment.state,
        update(p, g, { step, rate, kept }) {
          moment.add(g, 1 - step ** beta2Decay, epsilon1);
          const update = Float64Array.from(g, (gi, i) => gi / Math.sqrt(moment.at(i)));
          const clipped = Math.max(1, rootMeanSquare(update) / clipThreshold);
          const size = Math.max(epsilon2, rootMeanSquare(p) * kept);
          const factor = (size * Math.min(rate, step ** -0.5)) / clipped;
          for (let i = 0; i < p.length; i++) p[i] = p[i]! * kept - factor * update[i]!;
        },
      };
    },
  );
}

interface SecondMoment extends Pick<VariableRule, "state"> {
  /** v ← β₂ v + (1 − β₂)(g² + ε), or its rows and columns. */
  add(g: Float32Array, beta2: number, epsilon: number): void;
  /** v at a place of the flat variable. */
  at(i: number): number;
}

function wholeMoment(slot: Slot): SecondMoment {
  const state = { v: momentOf(slot) };
  const v = state.v.data;
  return {
    state,
    add(g, beta2, epsilon) {
      for (let i = 0; i < v.length; i++)
        v[i] = beta2 * v[i]! + (1 - beta2) * (g[i]! ** 2 + epsilon);
    },
    at: (i) => v[i]!,
  };
}

function factoredMoment({ shape, length }: Slot): SecondMoment {
  const [height, width] = [shape.at(-2)!, shape.at(-1)!];
  const stack = shape.slice(0, -2);
  const matrices = length / (height * width);
  const rows = new Float32Array(matrices * height);
  const columns = new Float32Array(matrices * width);
  const rowMeans = new Float64Array(matrices);
  return {
    state: {
      rows: { dtype: "F32", shape: [...stack, height], data: rows },
      columns: { dtype: "F32", shape: [...stack, width], data: columns },
    },
    add(g, beta2, epsilon) {
      const rowSums = new Float64Array(rows.length);
      const columnSums = new Float64Array(columns.length);
      for (let i = 0; i < length; i++) {
        const row = Math.floor(i / width);
        const column = Math.floor(row / height) * width + (i % width);
        const square = g[i]! ** 2 + epsilon;
        rowSums[row] = rowSums[row]! + square;
        columnSums[column] = columnSums[column]! + square;
      }
      for (let i = 0; i < rows.length; i++)
        rows[i] = beta2 * rows[i]! + ((1 - beta2) * rowSums[i]!) / width;
      for (let i = 0; i < columns.length; i++)
        columns[i] = beta2 * columns[i]! + ((1 - beta2) * columnSums[i]!) / height;
      for (let matrix = 0; matrix < matrices; matrix++) {
        const own = rows.subarray(matrix * height, (matrix + 1) * height);
        rowMeans[matrix] = own.reduce((sum, value) => sum + value, 0) / height;
      }
    },
    at(i) {
      const row = Math.floor(i / width);
      const matrix = Math.floor(row / height);
      return (rows[row]! / rowMeans[matrix]!) * columns[matrix * width + (i % width)]!;
    },
  };
}

const rootMeanSquare = (x: Float32Array | Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  return Math.sqrt(sum / x.length);
};
