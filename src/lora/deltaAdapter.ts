import { FacetError } from "../errors.js";
import { readWhole, type StoredTensor } from "../formats/storedTensor.js";
import type { LinearModule } from "../nn/linear.js";
import type { DenseProducts } from "./denseProducts.js";
import { lowRank } from "./randomizedSvd.js";
import type { Reduced } from "./singularValues.js";

export type Tensors = ReadonlyMap<string, StoredTensor>;

/**
 * The difference `to` − `from` of two models as low-rank matrices, module by module; modules that do not differ are left
 * out. Only one module's weight is in memory at a time. Throws a FacetError for models of different shape.
 */
export async function* deltaAdapter(
  from: Tensors,
  to: Tensors,
  modules: readonly LinearModule[],
  rank: number,
  products: DenseProducts,
): AsyncGenerator<{ readonly path: string; readonly reduced: Reduced }> {
  requireSameShape(from, to);
  for (const { path, inFeatures, outFeatures } of modules) {
    const name = `${path}.weight`;
    const delta = readWhole(to.get(name)!);
    let place = 0;
    for (const piece of from.get(name)!.read()) {
      for (const value of piece) delta[place++]! -= value;
    }
    if (delta.every((value) => value === 0)) continue;
    const matrix = { data: delta, shape: [outFeatures, inFeatures] as const };
    yield { path, reduced: await lowRank(matrix, rank, products) };
  }
}

/** The names of the tensors other than the weights of these modules that differ: no adapter holds what they changed. */
export function otherDifferences(
  from: Tensors,
  to: Tensors,
  modules: readonly LinearModule[],
): string[] {
  const adaptable = new Set(modules.map(({ path }) => `${path}.weight`));
  return [...to]
    .filter(([name, tensor]) => !adaptable.has(name) && !equal(from.get(name)!, tensor))
    .map(([name]) => name);
}

function requireSameShape(from: Tensors, to: Tensors): void {
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const) {
    for (const [name, { shape }] of one) {
      const found = other.get(name);
      if (found?.shape.join() === shape.join()) continue;
      const what = found === undefined ? "one lacks it" : `[${shape}] and [${found.shape}]`;
      throw new FacetError(`The models have different shapes: ${name} (${what}).`);
    }
  }
}

/** Whether two tensors of one shape have the same values. They are read in pieces, which may end in different places. */
function equal(one: StoredTensor, other: StoredTensor): boolean {
  const pieces = other.read()[Symbol.iterator]();
  let rest = new Float32Array(0);
  for (const piece of one.read()) {
    for (let at = 0; at < piece.length; ) {
      if (rest.length === 0) rest = pieces.next().value ?? new Float32Array(0);
      const length = Math.min(rest.length, piece.length - at);
      if (length === 0) return false;
      for (let i = 0; i < length; i++) if (rest[i] !== piece[at + i]) return false;
      rest = rest.subarray(length);
      at += length;
    }
  }
  return true;
}
