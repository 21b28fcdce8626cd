import { existsSync, realpathSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { FacetError } from "../errors.js";
import { huggingFaceCredentials, kaggleCredentials } from "./credentials.js";
import type { DownloadHooks } from "./download.js";
import { cachedSnapshot, snapshot } from "./huggingFace.js";
import { cachedKaggleModel, kaggleModel } from "./kaggle.js";
import { chooseConfig, chooseFile, chooseModel } from "./modelChoice.js";
import { assets, facetHome } from "./places.js";
import { type Preset, presets, unknownModel } from "./presets.js";
import { cachedCommits, repositoryCache } from "./repositoryCache.js";
import { type KaggleModel, parseSource, type Repository, type Source } from "./source.js";
import { webFile } from "./webFile.js";

/** A model's folder or file on this machine. */
export interface LocatedModel {
  readonly path: string;
  /** What to call it: a preset's name, a repository's, or that of the folder or file. */
  readonly name: string;
}

/** Of a model: all that is needed to use it, or its configuration alone. */
export type Extent = "model" | "config";

/**
 * Finds a model by a preset's name, a path, `hf://org/name[@revision][/file]`, `org/name`,
 * `kaggle://owner/model/framework/variation[/version]` or an https:// address, and downloads it if it is not on this
 * machine. Throws a FacetError that says what to do.
 */
export async function locateModel(
  nameOrPath: string,
  hooks: DownloadHooks = {},
  extent: Extent = "model",
): Promise<LocatedModel> {
  const preset = presetNamed(nameOrPath);
  if (preset !== undefined) return { path: await presetFolder(preset, hooks), name: nameOrPath };
  const path = resolve(nameOrPath);
  if (existsSync(path)) return { path, name: nameOfFile(path) };
  const source = parseSource(nameOrPath, "model");
  if (source !== undefined) return download(source, hooks, extent);
  if (!/^\.|[/\\]/.test(nameOrPath)) throw unknownModel(nameOrPath);
  throw new FacetError(
    `There is no folder ${path}. Give a model folder, a preset (${Object.keys(presets).slice(0, 3).join(", ")}, …), hf://org/name, kaggle://owner/model/framework/variation/version or an https:// address.`,
  );
}

async function download(
  source: Source,
  hooks: DownloadHooks,
  extent: Extent,
): Promise<LocatedModel> {
  if (source.kind === "kaggle") {
    return { path: await kaggleModel(source.model, hooks), name: source.model.variation };
  }
  if (source.kind === "url") {
    requireGguf(source.url.pathname, `${source.url}`);
    const path = await webFile(source.url, hooks);
    return { path, name: nameOfFile(path) };
  }
  const { repository, revision, file } = source;
  if (repository.type === "dataset") {
    throw new FacetError(`hf://datasets/${repository.name} is a data set, not a model.`);
  }
  if (file !== undefined) {
    requireGguf(file, `hf://${repository.name}/${file}`);
    const { folder } = await snapshot({ repository, revision, choose: chooseFile(file) }, hooks);
    const path = join(folder, ...file.split("/"));
    return { path, name: nameOfFile(path) };
  }
  const choose = extent === "config" ? chooseConfig : chooseModel;
  const { folder } = await snapshot({ repository, revision, choose }, hooks);
  return { path: folder, name: repository.name };
}

/** Of all single files only a GGUF file is a whole model. */
function requireGguf(path: string, given: string): void {
  if (path.endsWith(".gguf")) return;
  throw new FacetError(
    `${given} is no model: of single files Facet can use .gguf. Weights in safetensors need the other files of their repository: give hf://org/name.`,
  );
}

const nameOfFile = (path: string) => basename(path).replace(/\.gguf$/, "");

const presetNamed = (name: string): (Preset & { readonly name: string }) | undefined =>
  Object.hasOwn(presets, name) ? { name, ...presets[name]! } : undefined;

/** The folder of a preset, if its weights are on this machine: Facet's own, or what Python's tools downloaded. */
export async function presetOnThisMachine(name: string): Promise<string | undefined> {
  const preset = presetNamed(name);
  if (preset === undefined) return undefined;
  const { source } = preset;
  if ("bundled" in source) return join(assets, source.bundled);
  const own = join(facetHome(), "models", name);
  if (existsSync(join(own, "config.json"))) return realpathSync(own);
  const cache = repositoryCache(repositoryOf(source.huggingFace));
  const main = cache.readRef("main");
  for (const commit of [...(main === undefined ? [] : [main]), ...cachedCommits(cache)]) {
    const found = await cachedSnapshot({ choose: chooseModel }, cache, commit);
    if (found !== undefined) return found.folder;
  }
  return cachedKaggleModel(kaggleOf(source.kaggle));
}

/** What is here is used as it is: the weights of a preset do not change. */
async function presetFolder(
  preset: Preset & { readonly name: string },
  hooks: DownloadHooks,
): Promise<string> {
  const here = await presetOnThisMachine(preset.name);
  if (here !== undefined) return here;
  const { huggingFace, kaggle } = preset.source as Exclude<
    typeof preset.source,
    { bundled: string }
  >;
  // Both publish the same weights; who has an account at Kaggle only gets them there.
  if (huggingFaceCredentials() === undefined && kaggleCredentials() !== undefined) {
    return kaggleModel(kaggleOf(kaggle), hooks);
  }
  const repository = repositoryOf(huggingFace);
  return (await snapshot({ repository, revision: "main", choose: chooseModel }, hooks)).folder;
}

const repositoryOf = (name: string): Repository => ({ type: "model", name });

function kaggleOf(handle: string): KaggleModel {
  const source = parseSource(handle, "model");
  if (source?.kind !== "kaggle") throw new Error(`${handle} is no model of Kaggle`);
  return source.model;
}
