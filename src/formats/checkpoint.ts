import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { isString, recordOf } from "../validation.js";
import { readSafetensorsHeader, type TensorInfo } from "./safetensors.js";
import { readStrictJson } from "./strictJson.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";

const indexSchema = z.object({
  weight_map: recordOf(isString, "expected an object of file names"),
});

/**
 * The tensors of a Hugging Face model folder, by name: of `model.safetensors`, or of the shards that
 * `model.safetensors.index.json` lists. Only headers are read.
 * Throws FacetError when files are missing or damaged, when a shard lies outside the folder, and when
 * the index and the shards do not hold the same tensors.
 */
export function openCheckpoint(folder: string): Map<string, TensorInfo> {
  const root = resolve(folder);
  const single = join(root, SINGLE);
  if (existsSync(single)) return readSafetensorsHeader(single).tensors;
  const index = join(root, INDEX);
  if (existsSync(index)) return openShards(root, index);
  throw new FacetError(
    `${root} has neither ${SINGLE} nor ${INDEX}. It has: ${listing(root)}. Give the folder of a model in safetensors format.`,
  );
}

function openShards(root: string, index: string): Map<string, TensorInfo> {
  const shardOf = readShardIndex(index);
  const shards = [...new Set(shardOf.values())];
  const missing = shards.filter((shard) => !existsSync(join(root, shard)));
  if (missing.length > 0) {
    throw new FacetError(
      `${root} lacks ${missing.join(", ")}, which ${INDEX} lists. Get it again.`,
    );
  }
  const tensors = new Map<string, TensorInfo>();
  for (const shard of shards) {
    for (const [name, info] of readSafetensorsHeader(join(root, shard)).tensors) {
      if (shardOf.get(name) !== shard) {
        const listed = shardOf.get(name) ?? "no shard";
        throw new FacetError(
          `${info.file} holds tensor "${name}", which ${INDEX} places in ${listed}. The files do not belong together; get them again.`,
        );
      }
      tensors.set(name, info);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name)) {
      throw new FacetError(
        `${join(root, shard)} lacks tensor "${name}", which ${INDEX} places in it. The files do not belong together; get them again.`,
      );
    }
  }
  return tensors;
}

/** The shard of each tensor, as an index lists them. Throws FacetError for a damaged one, and for a shard outside its folder. */
export function readShardIndex(index: string): Map<string, string> {
  const parsed = indexSchema.safeParse(readStrictJson(index));
  if (!parsed.success) throw new FacetError(`${index}: ${z.prettifyError(parsed.error)}`);
  const shardOf = new Map(Object.entries(parsed.data.weight_map));
  for (const shard of new Set(shardOf.values())) checkShardName(shard, index);
  return shardOf;
}

/** A shard is a plain file name: an index from elsewhere must not make Facet read other folders. */
function checkShardName(shard: string, index: string): void {
  const plain = basename(shard) === shard && !shard.includes("\\") && !shard.includes("\0");
  if (!plain || !shard.endsWith(".safetensors")) {
    throw new FacetError(
      `${index}: the shard ${JSON.stringify(shard)} is not the name of a .safetensors file in that folder.`,
    );
  }
}

function listing(folder: string): string {
  try {
    return readdirSync(folder).slice(0, 10).join(", ") || "no files";
  } catch (error) {
    throw new FacetError(`Cannot read ${folder}: ${(error as Error).message}.`, { cause: error });
  }
}
