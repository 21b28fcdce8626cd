import type { LoraMatrices } from "../formats/loraMatrices.js";

/**
 * The one portable form of an adapter: every module at the same rank, the largest there is or `rank`
 * (padded with zeros), and scale 1, folded into B, so that alpha = rank, a whole number. Matrices
 * that have this form already are not copied.
 */
export function canonical(
  matrices: ReadonlyMap<string, LoraMatrices>,
  rank = Math.max(...[...matrices.values()].map((lora) => lora.rank)),
): { rank: number; matrices: Map<string, LoraMatrices> } {
  const each = [...matrices].map(([path, lora]) => [path, padded(scaleInB(lora), rank)] as const);
  return { rank, matrices: new Map(each) };
}

/** The same update with scale 1. */
export function scaleInB(lora: LoraMatrices): LoraMatrices {
  const { b, scale } = lora;
  return scale === 1 ? lora : { ...lora, b: b.map((value) => value * scale), scale: 1 };
}

function padded(lora: LoraMatrices, rank: number): LoraMatrices {
  if (lora.rank === rank) return lora;
  const { inFeatures, outFeatures } = lora;
  const a = new Float32Array(rank * inFeatures);
  a.set(lora.a);
  const b = new Float32Array(outFeatures * rank);
  for (let row = 0; row < outFeatures; row++) {
    b.set(lora.b.subarray(row * lora.rank, (row + 1) * lora.rank), row * rank);
  }
  return { ...lora, a, b, rank };
}
