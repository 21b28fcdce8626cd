import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folders on this machine, where the environment moves them. An empty variable counts as none. */

/** Files that ship with Facet: the built-in model and data set. */
export const assets = fileURLToPath(new URL("../../assets/", import.meta.url));

const cacheHome = () => join(homedir(), ".cache");

/** Facet's own place on this machine; `FACET_HOME` moves it. */
export const facetHome = (): string => process.env.FACET_HOME || join(cacheHome(), "facet");

/** As in Python's huggingface_hub: `HF_HOME`, or `huggingface` in the user's cache. */
export const huggingFaceHome = (): string =>
  expanded(process.env.HF_HOME || join(process.env.XDG_CACHE_HOME || cacheHome(), "huggingface"));

/** Where Python's huggingface_hub keeps repositories. */
export const huggingFaceCache = (): string =>
  expanded(
    process.env.HF_HUB_CACHE || process.env.HUGGINGFACE_HUB_CACHE || join(huggingFaceHome(), "hub"),
  );

/** Where Python's kagglehub keeps models. */
export const kaggleCache = (): string =>
  expanded(process.env.KAGGLEHUB_CACHE || join(cacheHome(), "kagglehub"));

/** Where the credentials of Kaggle's tools lie. */
export const kaggleHome = (): string =>
  expanded(process.env.KAGGLE_CONFIG_DIR || join(homedir(), ".kaggle"));

/** A path with the user's folder for a leading `~`. */
export const expanded = (path: string): string => path.replace(/^~(?=$|[/\\])/, homedir());

/** Where vocabularies are kept in a form that is read fast. */
export const vocabularyPlace = (): string => join(facetHome(), "vocabularies");

/** Where data sets are kept that have been prepared for a model. */
export const preparedPlace = (): string => join(facetHome(), "prepared");

/** Where weights are kept packed for an engine's products. */
export const packedPlace = (): string => join(facetHome(), "packed");

/** Where examples go that are too many for memory, and how many bytes of them may stay there. */
export const spillPlace = () => ({ folder: join(facetHome(), "spill"), bytes: 2 ** 28 });
