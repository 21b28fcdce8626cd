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

/** What reads data: the tokenizer, the sequence length, the model's chat template; and what is asked of it besides. */
export type DataReader = Pick<DatasetOptions, "tokenizer" | "sequenceLength" | "chatTemplate"> &
  Partial<Pick<DatasetOptions, "validationSplit" | "preferences" | "countAll">>;

/**
 * Reads the data that a configuration names, downloaded where need be. Throws the FacetErrors of `loadDataset`.
 */
export const openDataset = async (
  config: DataConfig,
  reader: DataReader,
  download: DownloadHooks = {},
): Promise<Dataset> => loadDataset(await datasetOptions(config, reader, download));

/** The options of `loadDataset` for the data that a configuration names, which are downloaded where need be. */
export async function datasetOptions(
  config: DataConfig,
  reader: DataReader,
  download: DownloadHooks = {},
): Promise<DatasetOptions> {
  const sets = [];
  for (const name of dataNames(config)) sets.push(await locateData(name, download));
  const { filter: filters, columns, template, limit, targets, overlong } = config;
  return {
    ...reader,
    ...{ sets, spill: spillPlace(), cache: preparedPlace(), filters, columns, overlong },
    ...(targets !== undefined && { targets }),
    ...(limit !== undefined && { limit }),
    ...(template !== undefined && { template }),
  };
}
