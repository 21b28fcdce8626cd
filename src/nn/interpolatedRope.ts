import { constant, type RopeTable, ropeTable } from "../graph/index.js";

/**
 * Rotary tables, `[positions, headDim / 2]`, of positions divided by `factor` (position
 * interpolation, Chen et al. 2023, arXiv:2306.15595; "linear" in Hugging Face's rope_scaling):
 * angle = position / factor · base^(−2i / headDim), computed in float64 and stored as float32.
 */
export function interpolatedRope(
  positions: number,
  headDim: number,
  base: number,
  factor: number,
): RopeTable {
  if (factor === 1) return ropeTable(positions, headDim, base);
  const half = headDim / 2;
  const angles = Float64Array.from(
    { length: positions * half },
    (_, i) => Math.floor(i / half) / (factor * base ** ((i % half) / half)),
  );
  const table = (f: (angle: number) => number) =>
    constant(Float32Array.from(angles, f), [positions, half]);
  return { cos: table(Math.cos), sin: table(Math.sin) };
}
