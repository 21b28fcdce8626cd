import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { hdf5Tensor } from "../formats/hdf5/hdf5Tensor.js";
import { type Hdf5Dataset, type Hdf5Group, readHdf5 } from "../formats/hdf5/readHdf5.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import { readStrictJson } from "../formats/strictJson.js";
import { transposed } from "../formats/transposed.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import { fromKerasConfig } from "../models/gemma/kerasConfig.js";
import { type KerasTensor, kerasTensors } from "../models/gemma/kerasNames.js";
import { gemmaWeightSpecs } from "../models/gemma/weights.js";
import { readSentencePiece } from "../tokenizers/sentencePiece.js";
import { isString, recordOf } from "../validation.js";
import type { Checkpoint } from "./checkpoint.js";

/** Names in a preset's folder (preset_utils.py of KerasHub). */
export const kerasFiles = {
  config: "config.json",
  weights: "model.weights.h5",
  shards: "model.weights.json",
  task: "task.weights.h5",
  vocabulary: join("assets", "tokenizer", "vocabulary.spm"),
} as const;

/** The path of a tensor's dataset below the backbone. */
export const kerasPath = ({ layers }: KerasTensor): string =>
  `/layers/${layers.map(({ key }) => key).join("/")}/vars/0`;

/**
 * Reads a preset's folder as KerasHub saves it, its weights in one file or in shards. Throws a FacetError for a model
 * that Facet does not know, and for weights that are missing, unknown or of the wrong shape.
 */
export function readKerasPreset(folder: string): Checkpoint {
  const root = resolve(folder);
  const path = join(root, kerasFiles.config);
  const config = fromKerasConfig(readStrictJson(path), path);
  const vocabulary = join(root, kerasFiles.vocabulary);
  return {
    name: basename(root),
    config,
    tensors: bind(config, weightsOf(root), root),
    tokenizer: existsSync(vocabulary) ? readSentencePiece(vocabulary) : undefined,
    chatTemplate: undefined,
  };
}

type Datasets = ReadonlyMap<string, Hdf5Dataset>;

/** The backbone's datasets by their paths below it. */
function weightsOf(root: string): Datasets {
  const { weights, shards, task } = kerasFiles;
  const single = [weights, task].map((name) => join(root, name)).find(existsSync);
  if (single !== undefined) return backboneOf(single);
  const index = join(root, shards);
  if (existsSync(index)) return shardsOf(root, index);
  throw new FacetError(`${root} has neither ${weights} nor ${shards}. Get the preset again.`);
}

/**
 * The datasets of a weights file. In that of a whole task the backbone is one of its layers; beside it are the
 * states of an optimizer, which are left out.
 */
function backboneOf(path: string): Datasets {
  const all = datasetsOf(readHdf5(path));
  const embedding = "/layers/reversible_embedding/vars/0";
  const found = [...all.keys()].find((name) => name.endsWith(embedding));
  if (found === undefined) {
    throw new FacetError(`${path}: there is no embedding of a Gemma in it (${embedding}).`);
  }
  const prefix = found.slice(0, -embedding.length);
  const inside = [...all].filter(([name]) => name.startsWith(`${prefix}/layers/`));
  return new Map(inside.map(([name, dataset]) => [name.slice(prefix.length), dataset]));
}

const isPlace = (value: unknown): value is string | string[] =>
  isString(value) || (Array.isArray(value) && value.every(isString));
const indexSchema = z.object({
  weight_map: recordOf(isPlace, "expected an object of file names"),
});

function shardsOf(root: string, index: string): Datasets {
  const parsed = indexSchema.safeParse(readStrictJson(index));
  if (!parsed.success) throw new FacetError(`${index}: ${z.prettifyError(parsed.error)}`);
  const names = new Set(Object.values(parsed.data.weight_map).flat());
  const datasets = new Map<string, Hdf5Dataset>();
  for (const name of names) {
    // An index from elsewhere must not make Facet read other folders.
    if (basename(name) !== name || !name.endsWith(".weights.h5") || name.includes("\\")) {
      throw new FacetError(
        `${index}: ${JSON.stringify(name)} is not the name of a .weights.h5 file in that folder.`,
      );
    }
    if (!existsSync(join(root, name))) {
      throw new FacetError(
        `${root} lacks ${name}, which ${kerasFiles.shards} lists. Get it again.`,
      );
    }
    for (const [path, dataset] of datasetsOf(readHdf5(join(root, name)))) {
      if (datasets.has(path)) throw new FacetError(`${index}: ${path} is in two of its files.`);
      datasets.set(path, dataset);
    }
  }
  return datasets;
}

function datasetsOf(group: Hdf5Group, path = "", into = new Map<string, Hdf5Dataset>()): Datasets {
  for (const [key, member] of group.members) {
    if (member.kind === "dataset") into.set(`${path}/${key}`, member);
    else datasetsOf(member, `${path}/${key}`, into);
  }
  return into;
}

function bind(config: GemmaConfig, datasets: Datasets, root: string): Map<string, StoredTensor> {
  const places = kerasTensors(config);
  const known = new Set([...places.values()].map(kerasPath));
  const unknown = [...datasets.keys()].find((path) => !known.has(path));
  if (unknown !== undefined) {
    throw new FacetError(`The weights in ${root}: ${unknown} is no variable of this model.`);
  }
  return new Map(
    gemmaWeightSpecs(config).map(({ name, shape }) => {
      const place = places.get(name)!;
      const path = kerasPath(place);
      const dataset = datasets.get(path);
      if (dataset?.shape.join() !== place.shape.join()) {
        const found = dataset === undefined ? "is missing" : `has shape [${dataset.shape}]`;
        throw new FacetError(
          `The weights in ${root}: ${path} ${found}; expected [${place.shape.join(", ")}].`,
        );
      }
      const tensor = hdf5Tensor(dataset, path);
      return [name, place.transposed ? transposed(tensor, place.transposed, shape) : tensor];
    }),
  );
}
