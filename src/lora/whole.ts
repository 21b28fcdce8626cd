import { allocateParameters, views } from "../engines/parameters.js";
import { FacetError } from "../errors.js";
import { readWhole, type StoredTensor } from "../formats/storedTensor.js";
import type { Adapter } from "./adapter.js";

/** A tensor of the base model by name and shape. */
export interface WholeTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * What stands for a whole model in training: no matrices, and all of these tensors as parameters under their own names,
 * zero until they are filled.
 */
export function wholeAdapter(tensors: readonly WholeTensor[]): Adapter {
  return {
    config: { rank: 1, alpha: 1, targets: [], layout: "standard" },
    modules: [],
    parameters: allocateParameters(tensors),
    whole: new Set(tensors.map(({ name }) => name)),
  };
}

/** The adapter with tensors that it replaces. */
export function withWhole(adapter: Adapter, whole: ReadonlyMap<string, StoredTensor>): Adapter {
  const { slots, values } = adapter.parameters;
  const added = [...whole].map(([name, { shape }]) => ({ name, shape }));
  const parameters = allocateParameters([...slots, ...added]);
  parameters.values.set(values);
  const all = views(parameters.slots, parameters.values);
  for (const [name, tensor] of whole) all[name]!.data.set(readWhole(tensor));
  return { ...adapter, parameters, whole: new Set(whole.keys()) };
}

/** Throws a FacetError for an adapter that replaces tensors, where nothing but low-rank matrices can be. */
export function requireMatricesOnly(
  { whole }: { readonly whole?: { keys(): Iterable<string> } | undefined },
  what: string,
): void {
  const [first, ...others] = whole?.keys() ?? [];
  if (first === undefined) return;
  const more = others.length > 0 ? ` and ${others.length} more` : "";
  throw new FacetError(
    `${what} low-rank matrices only, and this adapter also replaces ${first}${more}. Merge it instead (facet export --to merged).`,
  );
}
