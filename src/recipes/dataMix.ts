import type { Dataset } from "../data/dataset.js";
import { type Mix, mixShares } from "../data/mix.js";
import { FacetError } from "../errors.js";
import { type DataConfig, dataNames } from "./openDataset.js";

/** How many examples of a data set an epoch visits. */
export interface Share {
  readonly data: string;
  readonly examples: number;
}

/** The mix that weights make of the data sets. Throws a FacetError for weights that do not fit. */
export function mixOf(
  weights: readonly number[] | undefined,
  { counts }: Dataset,
): Mix | undefined {
  if (weights === undefined) return undefined;
  if (weights.length === counts.length) return { counts, weights };
  throw new FacetError(
    `--mix has ${weights.length} weights for ${counts.length} data sets. Give one for each --data.`,
  );
}

/** What an epoch visits, by data set, where they are mixed. Throws a FacetError for a set of which it would visit nothing. */
export const sharesOf = (
  config: Pick<DataConfig, "data">,
  mix: Mix | undefined,
): Share[] | undefined => {
  const names = dataNames(config);
  return mix && mixShares(mix).map((examples, set) => ({ data: names[set]!, examples }));
};
