import { FacetError } from "../errors.js";
import type { Choose } from "./huggingFace.js";

const dataFile = /\.(?<kind>jsonl|ndjson|json|csv|tsv|parquet|txt)(\.(gz|zst))?$/i;
/** JSON that describes a data set instead of being one. */
const description = /(^|\/)(dataset_infos?|dataset_dict|state|config|metadata|\.[^/]*)\.json$/i;
const training = /(^|[/_.-])train(ing)?(?=$|[/_.-])/i;
const held = /(^|[/_.-])(test|testing|valid|validation|val|dev|eval)(?=$|[/_.-])/i;

/**
 * The files of a data set that are for training: those with `train` in their path, as the datasets library of Hugging
 * Face finds them, or else all that are not for testing or validation. Throws a FacetError when they are of several
 * kinds, which may hold the same rows twice.
 */
export const chooseData: Choose = async (files) => {
  const data = files.filter(({ path }) => dataFile.test(path) && !description.test(path));
  const forTraining = data.filter(({ path }) => training.test(path));
  const others = data.filter(({ path }) => !held.test(path));
  const chosen = [forTraining, others, data].find((list) => list.length > 0) ?? [];
  const kinds = new Set(chosen.map(({ path }) => dataFile.exec(path)!.groups!.kind!.toLowerCase()));
  const names = (list: typeof files) =>
    list
      .map(({ path }) => path)
      .slice(0, 12)
      .join(", ");
  if (chosen.length === 0) {
    throw new FacetError(
      `The repository has no data file that Facet can read (JSON Lines, JSON, CSV, Parquet, text). It has ${names(files) || "no files"}.`,
    );
  }
  if (kinds.size > 1) {
    throw new FacetError(
      `The repository has data files of several kinds: ${names(chosen)}. Name one: hf://datasets/org/name/file.`,
    );
  }
  return [...chosen].sort((a, b) => (a.path < b.path ? -1 : 1));
};
