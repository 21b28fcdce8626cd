import { type Dataset, type DatasetOptions, loadDataset } from "../data/dataset.js";
import type { DownloadHooks } from "../hub/download.js";
import { locateData } from "../hub/locateData.js";
import { preparedPlace, spillPlace } from "../hub/places.js";
import type { FinetuneConfig } from "./finetuneConfig.js";

/** The options that decide what a data set becomes, under the names they have in a run's configuration. */
export type DataConfig = Pick<
  FinetuneConfig,
  "data" | "filter" | "columns" | "template" | "limit" | "targets" | "overlong"
>;

/** The data sets that a configuration names: one, or a list. */
export const dataNames = ({ data }: Pick<FinetuneConfig, "data">): readonly string[] =>
  typeof data === "string" ? [data] : data;

/**
 * Reads the data that a configuration names, downloaded where need be. `reader` is what reads it: the tokenizer, the
 * sequence length and the model's chat template. Throws the FacetErrors of `loadDataset`.
 */
export async function openDataset(
  config: DataConfig,
  reader: Pick<DatasetOptions, "tokenizer" | "sequenceLength" | "chatTemplate"> &
    Partial<Pick<DatasetOptions, "validationSplit" | "countAll">>,
  download: DownloadHooks = {},
): Promise<Dataset> {
  const sets = [];
  for (const name of dataNames(config)) sets.push(await locateData(name, download));
  const { filter: filters, columns, template, limit, targets, overlong } = config;
  return loadDataset({
    ...reader,
    ...{ sets, spill: spillPlace(), cache: preparedPlace(), filters, columns, targets, overlong },
    ...(limit !== undefined && { limit }),
    ...(template !== undefined && { template }),
  });
}
