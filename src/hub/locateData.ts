import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { FacetError } from "../errors.js";
import { chooseData } from "./dataChoice.js";
import type { DownloadHooks } from "./download.js";
import { snapshot } from "./huggingFace.js";
import { chooseFile } from "./modelChoice.js";
import { parseSource } from "./source.js";
import { webFile } from "./webFile.js";

/**
 * The files of a data set, in order: of a path that path itself, whether anything is there or not; of
 * `org/name`, `hf://datasets/org/name[@revision][/file]` or an https:// address what is downloaded from there.
 */
export async function locateData(
  nameOrPath: string,
  hooks: DownloadHooks = {},
): Promise<readonly string[]> {
  if (existsSync(nameOrPath)) return [nameOrPath];
  const source = parseSource(nameOrPath, "dataset");
  if (source === undefined) return [nameOrPath];
  if (source.kind === "url") return [await webFile(source.url, hooks)];
  if (source.kind === "kaggle" || source.repository.type !== "dataset") {
    throw new FacetError(`${nameOrPath} is a model, not a data set.`);
  }
  const { repository, revision, file } = source;
  const choose = file === undefined ? chooseData : chooseFile(file);
  const { folder, files } = await snapshot({ repository, revision, choose }, hooks);
  return files.map((path) => join(folder, ...path.split("/")));
}

/** The same data set, named from anywhere: the absolute path of what is a path. */
export const dataFromAnywhere = (nameOrPath: string): string =>
  existsSync(nameOrPath) || parseSource(nameOrPath, "dataset") === undefined
    ? resolve(nameOrPath)
    : nameOrPath;
