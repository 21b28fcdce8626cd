/** Coefficients of the quintic iteration of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon). */
const [a, b, c] = [3.4445, -4.775, 2.0315];

/**
 * The matrix nearest to being orthogonal, roughly: singular values go to between about 0.7 and 1.2,
 * singular vectors stay. X ← a X + (b X Xᵀ + c (X Xᵀ)²) X, from X of Frobenius norm 1. `x` is
 * `[height, width]`, flat; the products are of the smaller side's size.
 */
export function orthogonalized(
  x: Float64Array,
  height: number,
  width: number,
  steps: number,
): Float64Array {
  if (height > width) {
    const turned = orthogonalized(transposed(x, height, width), width, height, steps);
    return transposed(turned, width, height);
  }
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)) + 1e-7;
  let y = x.map((value) => value / norm);
  for (let step = 0; step < steps; step++) {
    const gram = timesTransposed(y, y, height, height, width);
    // The Gram matrix is symmetric, so its square is itself times its transpose.
    const square = timesTransposed(gram, gram, height, height, height);
    const mixed = gram.map((value, i) => b * value + c * square[i]!);
    const product = new Float64Array(y.length);
    for (let row = 0; row < height; row++) {
      for (let k = 0; k < height; k++) {
        const factor = mixed[row * height + k]!;
        for (let column = 0; column < width; column++) {
          const i = row * width + column;
          product[i] = product[i]! + factor * y[k * width + column]!;
        }
      }
    }
    y = y.map((value, i) => a * value + product[i]!);
  }
  return y;
}

/** p qᵀ, of p `[rows, inner]` and q `[columns, inner]`. */
function timesTransposed(
  p: Float64Array,
  q: Float64Array,
  rows: number,
  columns: number,
  inner: number,
): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += p[row * inner + k]! * q[column * inner + k]!;
      out[row * columns + column] = sum;
    }
  }
  return out;
}

function transposed(x: Float64Array, height: number, width: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      out[column * height + row] = x[row * width + column]!;
    }
  }
  return out;
}
