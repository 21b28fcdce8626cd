import type { LoraMatrices } from "../../src/formats/loraMatrices.js";

/** Matrices with numbers in them, other ones for another `seed`. */
export function loraMatrices(
  size: { rank: number; inFeatures: number; outFeatures: number; scale?: number },
  seed = 0,
): LoraMatrices {
  const { rank, inFeatures, outFeatures, scale = 1 } = size;
  const filled = (length: number, phase: number) =>
    Float32Array.from({ length }, (_, i) => Math.sin(1 + i * 1.7 + phase + seed * 0.61));
  return { a: filled(rank * inFeatures, 0), b: filled(outFeatures * rank, 2), ...size, scale };
}

/** scale · B A in float64, `[out, in]`. */
export function updateOf(lora: LoraMatrices): Float64Array {
  const { a, b, rank, inFeatures, outFeatures, scale } = lora;
  const update = new Float64Array(outFeatures * inFeatures);
  for (let row = 0; row < outFeatures; row++) {
    for (let column = 0; column < inFeatures; column++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * inFeatures + column]!;
      update[row * inFeatures + column] = scale * sum;
    }
  }
  return update;
}
