import { type Dim, sameShape } from "./dim.js";
import { add, multiply, negate } from "./elementwise.js";
import { gatherRows } from "./gather.js";
import { reshape } from "./layout.js";
import { matmul } from "./matmul.js";
import { constant } from "./sources.js";
import { apply1, expectFloat, type Operation, type Tensor } from "./tensor.js";

const ropeOperation: Operation = {
  name: "rope",
  infer: ([x, positions, cos]) => {
    expectFloat(x!, cos!);
    const [batch, , length, width] = x!.shape;
    const fits =
      x!.shape.length === 4 &&
      (width as number) === 2 * (cos!.shape[1] as number) &&
      sameShape(positions!.shape, [batch!, length!]);
    if (!fits) throw new Error("needs x [B, H, T, d], positions [B, T], cos and sin [P, d/2]");
    return [{ shape: x!.shape, dtype: "float32" }];
  },
  // A rotation's transpose is the rotation the other way.
  gradient: ({ inputs, outputGradients }) => {
    const [, positions, cos, sin] = inputs as [Tensor, Tensor, Tensor, Tensor];
    const dx = apply1(ropeOperation, [outputGradients[0]!, positions, cos, negate(sin)]);
    return [dx, undefined, undefined, undefined];
  },
  expand: ([x, positions, cos, sin]) => {
    const [batch, , length, width] = x!.shape as [Dim, Dim, Dim, number];
    const angles = (table: Tensor) =>
      reshape(matmul(gatherRows(table, positions!), repeatTwice(width / 2)), [
        batch,
        1,
        length,
        width,
      ]);
    const rotated = matmul(x!, rotateHalves(width));
    return [add(multiply(x!, angles(cos!)), multiply(rotated, angles(sin!)))];
  },
};

/** `[d, d]`: x @ it is (−x₂, x₁) for the halves x₁, x₂ of x. */
function rotateHalves(width: number): Tensor {
  const half = width / 2;
  const matrix = new Float32Array(width * width);
  for (let i = 0; i < half; i++) {
    matrix[(i + half) * width + i] = -1;
    matrix[i * width + i + half] = 1;
  }
  return constant(matrix, [width, width]);
}

/** `[d/2, d]`: angles @ it repeats them for both halves. */
function repeatTwice(half: number): Tensor {
  const matrix = new Float32Array(2 * half * half);
  for (let i = 0; i < half; i++) {
    matrix[i * 2 * half + i] = 1;
    matrix[i * 2 * half + i + half] = 1;
  }
  return constant(matrix, [half, 2 * half]);
}

export interface RopeTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Tables of rotary angles, `[positions, headDim / 2]`: angle = position / factor · base^(−2i /
 * headDim), computed in float64 and stored as float32. A factor above 1 stretches the positions
 * ("linear" rope scaling; Chen et al. 2023, arXiv:2306.15595).
 */
export function ropeTable(positions: number, headDim: number, base: number, factor = 1): RopeTable {
  const half = headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position / (factor * base ** (i / half));
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos: constant(cos, [positions, half]), sin: constant(sin, [positions, half]) };
}

/**
 * Rotary position embedding (Su et al. 2021, arXiv:2104.09864) on half-split pairs (i, i + d/2),
 * as Gemma uses it. x `[B, H, T, d]`, positions int32 `[B, T]`.
 */
export const rope = (x: Tensor, positions: Tensor, table: RopeTable): Tensor =>
  apply1(ropeOperation, [x, positions, table.cos, table.sin]);
