import { companionNames } from "../checkpoints/companions.js";
import { FacetError } from "../errors.js";
import { readShardIndex } from "../formats/checkpoint.js";
import type { Choose } from "./huggingFace.js";
import type { RemoteFile } from "./repositoryCache.js";

/** What a model needs besides its weights, if the repository has it. */
const besides = new Set(["config.json", ...companionNames, "chat_template.json"]);

const single = "model.safetensors";
const index = "model.safetensors.index.json";

/** A repository in Hugging Face's layout needs no others; it may hold the same weights in other formats too. */
export const chooseModel: Choose = async (files, open) => {
  const find = (path: string) => files.find((file) => file.path === path);
  if (find("config.json") === undefined) throw noModel(files, "no config.json");
  if (find("model.weights.h5") ?? find("model.weights.json")) return kerasFiles(files);
  const chosen = files.filter(({ path }) => besides.has(path));
  const one = find(single);
  if (one !== undefined) return [...chosen, one];
  const list = find(index);
  if (list === undefined) throw noModel(files, `neither ${single} nor ${index}`);
  const names = new Set(readShardIndex(await open(list)).values());
  const shards = [...names].map((name) => {
    const shard = find(name);
    if (shard === undefined) throw noModel(files, `no ${name}, which ${index} lists`);
    return shard;
  });
  return [...chosen, list, ...shards];
};

/** Everything of a Keras preset, which is a folder of its own. */
const kerasFiles = (files: readonly RemoteFile[]) =>
  files.filter(({ path }) => /^(assets\/|[^/]+\.(json|h5)$)/.test(path));

/** One file, by its path. */
export const chooseFile =
  (wanted: string): Choose =>
  async (files) => {
    const file = files.find(({ path }) => path === wanted);
    if (file !== undefined) return [file];
    throw new FacetError(`The repository has no ${wanted}. It has ${listing(files)}.`);
  };

/** The configuration alone: enough to know a model's shape. */
export const chooseConfig: Choose = chooseFile("config.json");

function noModel(files: readonly RemoteFile[], what: string): FacetError {
  const gguf = files.filter(({ path }) => path.endsWith(".gguf"));
  const hint =
    gguf.length > 0
      ? ` For one of its GGUF files write hf://org/name/file: ${listing(gguf)}.`
      : ` It has ${listing(files)}.`;
  return new FacetError(
    `The repository is no model that Facet can read: it has ${what}. Weights have to be safetensors, a Keras preset or GGUF.${hint}`,
  );
}

function listing(files: readonly RemoteFile[]): string {
  const names = files.map(({ path }) => path);
  if (names.length === 0) return "no files";
  const others = names.length > 12 ? ` and ${names.length - 12} others` : "";
  return names.slice(0, 12).join(", ") + others;
}
