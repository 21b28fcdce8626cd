import { Matrix } from "ml-matrix";
import { createRandom } from "../random.js";
import type { DenseMatrix, DenseProducts } from "./denseProducts.js";
import { orthonormal, type Reduced, truncated } from "./singularValues.js";

/** Columns beyond the rank that was asked for, and rounds of power iteration. */
const oversampling = 8;
const powerIterations = 2;

/**
 * A low-rank approximation of a large matrix `[out, in]`, near the best there is (Halko, Martinsson and Tropp 2011,
 * arXiv:0909.4061, algorithms 4.4 and 5.1): the range of the matrix is found from its products with random vectors,
 * refined by power iterations, and the matrix is decomposed within that range. The random vectors are the same every time.
 */
export async function lowRank(
  matrix: DenseMatrix,
  rank: number,
  products: DenseProducts,
): Promise<Reduced> {
  const [rows, columns] = matrix.shape;
  const total = matrix.data.reduce((sum, value) => sum + value * value, 0);
  const width = Math.min(rank + oversampling, rows, columns);
  const range = async (vectors: DenseMatrix) =>
    orthonormal(toMatrix(await products.times(matrix, vectors))).q;
  const coRange = async (vectors: Matrix) =>
    orthonormal(toMatrix(await products.transposedTimes(matrix, toDense(vectors))));
  let left = await range(gaussian(columns, width));
  for (let i = 0; i < powerIterations; i++) left = await range(toDense((await coRange(left)).q));
  // matrix ≈ left leftᵀ matrix, and matrixᵀ left = q r.
  const { q, r } = await coRange(left);
  return { ...truncated(left, r.transpose(), q, rank), total };
}

/** Standard normal numbers, by Box and Muller's method. */
function gaussian(rows: number, columns: number): DenseMatrix {
  const random = createRandom({ seed: 0, stream: "init" });
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  return { data: Float32Array.from({ length: rows * columns }, normal), shape: [rows, columns] };
}

const toMatrix = ({ data, shape: [rows, columns] }: DenseMatrix) =>
  Matrix.from1DArray(rows, columns, data);

const toDense = (matrix: Matrix): DenseMatrix => ({
  data: Float32Array.from(matrix.to1DArray()),
  shape: [matrix.rows, matrix.columns],
});
