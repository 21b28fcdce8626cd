import type { StoredTensor } from "./storedTensor.js";

/**
 * A tensor of `batch` matrices [rows, columns] with each of them transposed, as a tensor of this shape. One of the
 * matrices is in memory at a time.
 */
export function transposed(
  tensor: StoredTensor,
  { batch, rows, columns }: { batch: number; rows: number; columns: number },
  shape: readonly number[],
): StoredTensor {
  return {
    shape,
    dtype: tensor.dtype,
    *read() {
      const matrix = new Float32Array(rows * columns);
      let filled = 0;
      let done = 0;
      for (const piece of tensor.read()) {
        for (let from = 0; from < piece.length; ) {
          const part = piece.subarray(from, from + matrix.length - filled);
          matrix.set(part, filled);
          filled += part.length;
          from += part.length;
          if (filled < matrix.length) continue;
          yield flipped(matrix, rows, columns);
          filled = 0;
          done++;
        }
      }
      if (done !== batch) throw new Error(`a tensor of [${tensor.shape}] has ${done} matrices`);
    },
  };
}

function flipped(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  // In squares that fit into the processor's cache, both ways.
  const side = 64;
  for (let top = 0; top < rows; top += side) {
    const bottom = Math.min(rows, top + side);
    for (let left = 0; left < columns; left += side) {
      const right = Math.min(columns, left + side);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          result[column * rows + row] = matrix[row * columns + column]!;
        }
      }
    }
  }
  return result;
}
