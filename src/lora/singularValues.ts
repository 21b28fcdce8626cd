import { Matrix, QrDecomposition, SingularValueDecomposition } from "ml-matrix";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { notForDora } from "./arithmetic.js";

/** Matrices of a lower rank, and how much of the update they hold. */
export interface Reduced {
  readonly lora: LoraMatrices;
  /** Σ of the squared singular values that were kept. */
  readonly kept: number;
  /** ‖ΔW‖², Σ of all squared singular values. */
  readonly total: number;
}

/** M = Q R with orthonormal columns of Q; where M has more columns than rows, Q is the identity. */
export function orthonormal(matrix: Matrix): { q: Matrix; r: Matrix } {
  if (matrix.columns > matrix.rows) return { q: Matrix.eye(matrix.rows), r: matrix };
  const { orthogonalMatrix: q, upperTriangularMatrix: r } = new QrDecomposition(matrix);
  return { q, r };
}

/**
 * The best approximation of `left · core · rightᵀ` of rank at most `rank` (Eckart and Young 1936). `left` `[out, k]` and
 * `right` `[in, l]` have orthonormal columns, so the singular values are those of the small `core` `[k, l]`. Their
 * roots go to A and B alike. `kept` is of this product.
 */
export function truncated(
  left: Matrix,
  core: Matrix,
  right: Matrix,
  rank: number,
): { lora: LoraMatrices; kept: number } {
  const svd = new SingularValueDecomposition(core, { autoTranspose: true });
  const values = svd.diagonal.slice(0, rank);
  const roots = Matrix.diagonal(values.map(Math.sqrt), rank, rank);
  const cut = (vectors: Matrix) => resized(vectors, rank).mmul(roots);
  const b = left.mmul(cut(svd.leftSingularVectors));
  const a = right.mmul(cut(svd.rightSingularVectors)).transpose();
  const lora = {
    ...{ a: flat(a), b: flat(b), rank, inFeatures: right.rows, outFeatures: left.rows, scale: 1 },
  };
  return { lora, kept: values.reduce((sum, value) => sum + value * value, 0) };
}

/**
 * A module's update at a lower rank: the best approximation there is, from QR of the two factors and a singular value
 * decomposition of a matrix as small as the rank. Exact where `rank` is not below that of the update.
 */
export function reducedRank(lora: LoraMatrices, rank: number, name: string): Reduced {
  if (lora.magnitude !== undefined) throw notForDora(name);
  const { a, b, inFeatures, outFeatures, scale } = lora;
  const left = orthonormal(Matrix.from1DArray(outFeatures, lora.rank, b));
  const right = orthonormal(Matrix.from1DArray(lora.rank, inFeatures, a).transpose());
  const core = left.r.mmul(right.r.transpose()).mul(scale);
  return { ...truncated(left.q, core, right.q, rank), total: core.norm("frobenius") ** 2 };
}

/** The first `columns` columns, with zeros after them where there are fewer. */
function resized(matrix: Matrix, columns: number): Matrix {
  const result = Matrix.zeros(matrix.rows, columns);
  result.setSubMatrix(
    matrix.subMatrix(0, matrix.rows - 1, 0, Math.min(columns, matrix.columns) - 1),
    0,
    0,
  );
  return result;
}

const flat = (matrix: Matrix): Float32Array => {
  const values = new Float32Array(matrix.rows * matrix.columns);
  matrix.to2DArray().forEach((row, i) => {
    values.set(row, i * matrix.columns);
  });
  return values;
};
