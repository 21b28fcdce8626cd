import { FacetError } from "../errors.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import type { Checkpoint } from "./checkpoint.js";

/**
 * The checkpoint with an adapter's updates added to its weights, W + scale · B A (and DoRA's rescaled
 * rows), in float32. Tensors are merged while they are read, a few rows at a time, so the result
 * takes no more memory than its source. `matrices` is keyed by module path; `whole` are tensors that take the place of
 * the checkpoint's.
 * Throws a FacetError for a matrix whose module the checkpoint does not have, or has in another size.
 */
export function mergeAdapter(
  checkpoint: Checkpoint,
  matrices: ReadonlyMap<string, LoraMatrices>,
  whole: ReadonlyMap<string, StoredTensor> = new Map(),
): Checkpoint {
  const tensors = new Map(checkpoint.tensors);
  for (const [name, tensor] of whole) {
    const { shape } = tensors.get(name) ?? {};
    if (shape?.join() !== tensor.shape.join()) {
      throw new FacetError(
        `The adapter replaces ${name} by [${tensor.shape}]; in ${checkpoint.name} ${shape ? `it is [${shape}]` : "there is none"}.`,
      );
    }
    tensors.set(name, tensor);
  }
  for (const [module, lora] of matrices) {
    const name = `${module}.weight`;
    const weight = tensors.get(name);
    if (weight === undefined) {
      throw new FacetError(
        `The adapter changes ${module}, which ${checkpoint.name} does not have.`,
      );
    }
    const [rows, columns] = weight.shape;
    if (rows !== lora.outFeatures || columns !== lora.inFeatures) {
      throw new FacetError(
        `The adapter's ${module} is ${lora.outFeatures} × ${lora.inFeatures}; in ${checkpoint.name} it is ${rows} × ${columns}.`,
      );
    }
    tensors.set(name, merged(weight, lora));
  }
  return { ...checkpoint, tensors };
}

function merged(weight: StoredTensor, lora: LoraMatrices): StoredTensor {
  return {
    shape: weight.shape,
    dtype: "F32",
    *read() {
      const update = new Float64Array(lora.inFeatures);
      let row = 0;
      for (const piece of weight.read()) {
        for (let at = 0; at < piece.length; at += update.length) {
          mergeRow(piece.subarray(at, at + update.length), row++, lora, update);
        }
        yield piece;
      }
    },
  };
}

/** Adds row `row` of scale · B A to a row of weights, rounding once. `update` is room to work in. */
function mergeRow(
  weights: Float32Array,
  row: number,
  { a, b, rank, scale, magnitude }: LoraMatrices,
  update: Float64Array,
): void {
  const width = weights.length;
  update.set(weights);
  for (let r = 0; r < rank; r++) {
    const factor = scale * b[row * rank + r]!;
    if (factor === 0) continue;
    const start = r * width;
    for (let i = 0; i < width; i++) update[i]! += factor * a[start + i]!;
  }
  if (magnitude !== undefined) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += update[i]! * update[i]!;
    const factor = magnitude[row]! / Math.sqrt(squares);
    for (let i = 0; i < width; i++) update[i]! *= factor;
  }
  weights.set(update);
}
