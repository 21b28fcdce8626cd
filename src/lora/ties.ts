import type { LoraMatrices } from "../formats/loraMatrices.js";
import { partsByModule, type Term } from "./arithmetic.js";
import type { DenseMatrix, DenseProducts } from "./denseProducts.js";
import { lowRank } from "./randomizedSvd.js";
import type { Reduced } from "./singularValues.js";

/**
 * Merges adapters by TIES (Yadav et al. 2023, arXiv:2306.01708): of each weighted update the share `density` of the
 * largest values is kept (trim); each place elects the sign of their sum; and the values of that sign are averaged
 * (disjoint merge). This is done to the updates ΔW = scale · B A, module by module, as in PEFT's "ties_svd" and not to A
 * and B by themselves as in its "ties": A and B are not unique, and the signs of one adapter's mean nothing to another's.
 * The result has no low rank of its own; it is approximated at `rank`.
 */
export async function* ties(
  terms: readonly Term[],
  { density, rank }: { readonly density: number; readonly rank: number },
  products: DenseProducts,
): AsyncGenerator<{ readonly path: string; readonly reduced: Reduced }> {
  for (const [path, parts] of partsByModule(terms)) {
    const updates: Float32Array[] = [];
    for (const part of parts) {
      const update = await weightedUpdate(part, part.weight, products);
      trim(update, density);
      updates.push(update);
    }
    const { outFeatures, inFeatures } = parts[0]!;
    const merged = { data: disjointMean(updates), shape: [outFeatures, inFeatures] as const };
    yield { path, reduced: await lowRank(merged, rank, products) };
  }
}

async function weightedUpdate(
  { a, b, rank, inFeatures, outFeatures, scale }: LoraMatrices,
  weight: number,
  products: DenseProducts,
): Promise<Float32Array> {
  const factor = weight * scale;
  const scaled: DenseMatrix = {
    data: b.map((value) => value * factor),
    shape: [outFeatures, rank],
  };
  return (await products.times(scaled, { data: a, shape: [rank, inFeatures] })).data;
}

/** Sets all but the share `density` of the largest values to zero; values that equal the smallest of these stay. */
export function trim(values: Float32Array, density: number): void {
  const keep = Math.floor(density * values.length);
  const least = keep === 0 ? Number.POSITIVE_INFINITY : largestBits(values, keep);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7fffffff) < least) values[i] = 0;
}

/**
 * The bits of the `count`-th largest magnitude. Those of non-negative floats are in the order of their values, so two
 * counts of 16 bits each find it without sorting.
 */
function largestBits(values: Float32Array, count: number): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const high = new Uint32Array(1 << 15);
  for (const word of bits) high[(word & 0x7fffffff) >>> 16]!++;
  const [upper, left] = binOf(high, count);
  const low = new Uint32Array(1 << 16);
  for (const word of bits) if ((word & 0x7fffffff) >>> 16 === upper) low[word & 0xffff]!++;
  return upper * 0x10000 + binOf(low, left)[0];
}

/** The bin in which the `count`-th element from the top lies, and which one of its elements it is. */
function binOf(bins: Uint32Array, count: number): [bin: number, left: number] {
  let left = count;
  let bin = bins.length - 1;
  while (bin > 0 && bins[bin]! < left) left -= bins[bin--]!;
  return [bin, left];
}

/** In each place the mean of the values that have the sign of their sum; 0 where there is none. */
export function disjointMean(updates: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(updates[0]!.length);
  for (let i = 0; i < result.length; i++) {
    let total = 0;
    for (const update of updates) total += update[i]!;
    const sign = total < 0 ? -1 : 1;
    let [sum, count] = [0, 0];
    for (const update of updates) {
      const value = update[i]!;
      if (value * sign <= 0) continue;
      sum += value;
      count++;
    }
    if (count > 0) result[i] = sum / count;
  }
  return result;
}
