import { type Bindings, type Dim, evaluateDim, formatDim } from "../../graph/index.js";
import type { ModelBuilder } from "./builder.js";

/** A dimension in equal chunks, the last one padded: how many there are depends on the run. */
export interface Chunks {
  /** int64 scalars. */
  readonly count: string;
  readonly size: string;
  /** The argument of Pad that makes axis `axis` of `rank` a whole number of chunks. */
  pads(axis: number, rank: number): string;
  /** The shape in which that axis has become two, chunks and places in a chunk. */
  shape(before: readonly Dim[], after: readonly Dim[]): string;
  /** The argument of Reshape for something of one chunk: `times` its size between other entries. */
  part(before: readonly number[], times: number, after: readonly number[]): string;
}

/** As few chunks of at most `largest` as there can be. */
export function chunks(model: ModelBuilder, whole: Dim, largest: number): Chunks {
  const key = `${formatDim(whole)} in chunks of ${largest}`;
  const plan = (bindings: Bindings) => {
    const total = evaluateDim(whole, bindings);
    const count = Math.max(1, Math.ceil(total / largest));
    const size = Math.max(1, Math.ceil(total / count));
    return { count, size, padding: count * size - total };
  };
  const text = (dims: readonly Dim[]) => dims.map(formatDim).join();
  return {
    count: model.runtimeIntegers(`${key}: count`, true, (b) => [plan(b).count]),
    size: model.runtimeIntegers(`${key}: size`, true, (b) => [plan(b).size]),
    pads: (axis, rank) => {
      const evaluate = (b: Bindings) => {
        const pads = new Array<number>(2 * rank).fill(0);
        pads[rank + axis] = plan(b).padding;
        return pads;
      };
      return model.runtimeIntegers(`${key}: pads ${axis} of ${rank}`, false, evaluate, 2 * rank);
    },
    shape: (before, after) => {
      const evaluate = (b: Bindings) => {
        const { count, size } = plan(b);
        const dims = (list: readonly Dim[]) => list.map((dim) => evaluateDim(dim, b));
        return [...dims(before), count, size, ...dims(after)];
      };
      const name = `${key}: shape ${text(before)} | ${text(after)}`;
      return model.runtimeIntegers(name, false, evaluate, before.length + after.length + 2);
    },
    part: (before, times, after) => {
      const evaluate = (b: Bindings) => [...before, times * plan(b).size, ...after];
      const name = `${key}: part ${before.join()} | ${times} | ${after.join()}`;
      return model.runtimeIntegers(name, false, evaluate, before.length + after.length + 1);
    },
  };
}
