import { sameShape } from "./dim.js";
import { negate } from "./elementwise.js";
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
};

export interface RopeTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Tables of rotary angles, `[positions, headDim / 2]`: angle = position · base^(−2i / headDim),
 * computed in float64 and stored as float32.
 */
export function ropeTable(positions: number, headDim: number, base: number): RopeTable {
  const half = headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position / base ** (i / half);
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
