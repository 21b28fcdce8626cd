import type { LoraMatrices } from "../formats/loraMatrices.js";

/**
 * ‖scale · B A‖ (Frobenius) of a module's update, from the small products A Aᵀ and Bᵀ B, whose element-wise product
 * sums to ‖B A‖². What is below the rounding error of that sum is 0.
 */
export function updateNorm({ a, b, rank, inFeatures, outFeatures, scale }: LoraMatrices): number {
  const [ofA, ofB] = [gramOfRows(a, rank, inFeatures), gramOfColumns(b, outFeatures, rank)];
  const squares = ofA.reduce((sum, value, i) => sum + value * ofB[i]!, 0);
  const trace = (gram: Float64Array) =>
    gram.reduce((sum, value, i) => (i % (rank + 1) === 0 ? sum + value : sum), 0);
  return squares <= 1e-12 * trace(ofA) * trace(ofB) ? 0 : Math.abs(scale) * Math.sqrt(squares);
}

/** M Mᵀ of a row-major matrix of `rows` rows. */
function gramOfRows(values: Float32Array, rows: number, columns: number): Float64Array {
  const gram = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += values[i * columns + k]! * values[j * columns + k]!;
      gram[i * rows + j] = sum;
      gram[j * rows + i] = sum;
    }
  }
  return gram;
}

/** Mᵀ M of a row-major matrix of `columns` columns. */
function gramOfColumns(values: Float32Array, rows: number, columns: number): Float64Array {
  const gram = new Float64Array(columns * columns);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    for (let i = 0; i < columns; i++) {
      const value = values[start + i]!;
      if (value === 0) continue;
      for (let j = 0; j < columns; j++) gram[i * columns + j]! += value * values[start + j]!;
    }
  }
  return gram;
}
