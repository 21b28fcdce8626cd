import { FacetError } from "../errors.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";

/** One adapter of a sum. */
export interface Term {
  /** What messages call it. */
  readonly name: string;
  /** By module path. */
  readonly matrices: ReadonlyMap<string, LoraMatrices>;
  readonly weight: number;
}

/**
 * Σ weight · ΔW, exactly: the A of the terms are stacked, and so are the B, scaled, so each module's rank is the sum of
 * its ranks (PEFT's `add_weighted_adapter`, combination type "cat"). Throws a FacetError for DoRA, and where a module
 * has different sizes.
 */
export function weightedSum(terms: readonly Term[]): Map<string, LoraMatrices> {
  return eachModule(terms, (parts) => {
    const { inFeatures, outFeatures } = parts[0]!;
    const rank = parts.reduce((sum, part) => sum + part.rank, 0);
    const a = new Float32Array(rank * inFeatures);
    const b = new Float32Array(outFeatures * rank);
    let start = 0;
    for (const part of parts) {
      a.set(part.a, start * inFeatures);
      const factor = part.weight * part.scale;
      for (let row = 0; row < outFeatures; row++) {
        for (let r = 0; r < part.rank; r++) {
          b[row * rank + start + r] = factor * part.b[row * part.rank + r]!;
        }
      }
      start += part.rank;
    }
    return { a, b, rank, inFeatures, outFeatures, scale: 1 };
  });
}

/**
 * Sums A and B each by themselves, weighted by √|weight · scale|, at the rank that the terms have (PEFT's
 * `add_weighted_adapter`, combination type "linear"). The products of one term's B with another's A come in too, so this
 * is not Σ weight · ΔW; it suits adapters that were trained from the same start. Throws a FacetError for DoRA, and where
 * a module has different ranks or sizes.
 */
export function linearCombination(terms: readonly Term[]): Map<string, LoraMatrices> {
  return eachModule(terms, (parts, path) => {
    const { rank, inFeatures, outFeatures } = parts[0]!;
    const a = new Float32Array(rank * inFeatures);
    const b = new Float32Array(outFeatures * rank);
    for (const part of parts) {
      if (part.rank !== rank) {
        throw new FacetError(
          `${path} has rank ${rank} in ${parts[0]!.name} and ${part.rank} in ${part.name}; a linear combination needs one rank. Add them exactly, or merge them by TIES.`,
        );
      }
      const factor = part.weight * part.scale;
      const root = Math.sqrt(Math.abs(factor));
      a.forEach((value, i) => {
        a[i] = value + Math.sign(factor) * root * part.a[i]!;
      });
      b.forEach((value, i) => {
        b[i] = value + root * part.b[i]!;
      });
    }
    return { a, b, rank, inFeatures, outFeatures, scale: 1 };
  });
}

export type Part = LoraMatrices & Pick<Term, "name" | "weight">;

/** The modules of any term, each with the terms that have it. Throws a FacetError for DoRA and for sizes that differ. */
export function partsByModule(terms: readonly Term[]): Map<string, readonly Part[]> {
  const modules = new Map<string, Part[]>();
  for (const { name, matrices, weight } of terms) {
    for (const [path, lora] of matrices) {
      if (lora.magnitude !== undefined) throw notForDora(name);
      const parts = modules.get(path) ?? [];
      const first = parts[0] ?? lora;
      if (first.inFeatures !== lora.inFeatures || first.outFeatures !== lora.outFeatures) {
        throw new FacetError(
          `${path} is ${first.outFeatures} × ${first.inFeatures} in ${parts[0]!.name} and ${lora.outFeatures} × ${lora.inFeatures} in ${name}: they are for different models.`,
        );
      }
      modules.set(path, [...parts, { ...lora, name, weight }]);
    }
  }
  return modules;
}

function eachModule(
  terms: readonly Term[],
  combine: (parts: readonly Part[], path: string) => LoraMatrices,
): Map<string, LoraMatrices> {
  const modules = partsByModule(terms);
  return new Map([...modules].map(([path, parts]) => [path, combine(parts, path)]));
}

/** Why arithmetic is refused for an adapter of DoRA. */
export const notForDora = (name: string) =>
  new FacetError(
    `${name} is a DoRA adapter: what it changes depends on the base model's weights, so it cannot be added or reduced as it is. Merge it (facet export --to merged) and take the difference of the models (facet adapter svd --from-model … --to-model …).`,
  );
