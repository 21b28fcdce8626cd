import { readWhole, type StoredTensor } from "../formats/storedTensor.js";
import { type Adapter, variablesOf } from "./adapter.js";
import { rankOf, scaleOf } from "./config.js";
import type { DenseProducts } from "./denseProducts.js";
import { lowRank } from "./randomizedSvd.js";

/**
 * Lets an adapter start from the largest singular values of its weights (PiSSA, Meng et al. 2024, arXiv:2404.02948):
 * with W ≈ U S Vᵀ, A = √(S / s) Vᵀ and B = U √(S / s), so that s·B A is the part of W that it trains. The weights stay
 * as they are: the adapter's `start` is subtracted instead, W + s·B A − s·B₀ A₀, which is what PiSSA's changed base
 * W − s·B₀ A₀ with B A on top computes. One weight is in memory at a time.
 */
export async function startPissa(
  adapter: Adapter,
  weight: (path: string) => StoredTensor,
  products: DenseProducts,
): Promise<Adapter> {
  const { config, modules, parameters } = adapter;
  for (const module of modules) {
    const { path, inFeatures, outFeatures } = module;
    const matrix = { data: readWhole(weight(path)), shape: [outFeatures, inFeatures] as const };
    const { lora } = await lowRank(matrix, rankOf(config, module), products);
    const root = Math.sqrt(scaleOf(config, module));
    const { a, b } = variablesOf(adapter, module);
    a.set(lora.a.map((value) => value / root));
    b.set(lora.b.map((value) => value / root));
  }
  return { ...adapter, start: parameters.values.slice() };
}
