import { copyFileSync, existsSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { FacetError } from "../src/errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../src/formats/atomicFile.js";
import { float32ToBfloat16 } from "../src/formats/dtypes.js";
import { type GemmaConfig, toHuggingFaceConfig } from "../src/models/gemma/config.js";
import { gemmaWeightSpecs, type WeightSpec } from "../src/models/gemma/weights.js";
import { createRandom } from "../src/random.js";

export type StoredType = "float32" | "bfloat16";
const itemBytes = { float32: 4, bfloat16: 2 } as const;

const largestShard = 2e9;
/** A prime: rows whose width is none of its multiples all start at different values of the block. */
const blockLength = 2 ** 22 - 3;

/**
 * Writes a model folder with random weights, as Hugging Face lays it out, unless it is there
 * already: matrices uniform with standard deviation 0.02, norm weights 0. Shards hold at most 2 GB.
 * Throws a FacetError when the disk has too little room.
 */
export async function randomCheckpoint(
  folder: string,
  config: GemmaConfig,
  type: StoredType,
  tokenizer?: string,
): Promise<void> {
  if (existsSync(folder)) return;
  const specs = gemmaWeightSpecs(config);
  const total = specs.reduce((sum, spec) => sum + byteLength(spec, type), 0);
  requireRoom(folder, total);
  const shards = intoShards(specs, type);
  const name = (index: number) => {
    const five = (n: number) => `${n}`.padStart(5, "0");
    return shards.length === 1
      ? "model.safetensors"
      : `model-${five(index + 1)}-of-${five(shards.length)}.safetensors`;
  };
  const random = endlessRandom(type);
  await writeFolderAtomic(folder, (place) => {
    shards.forEach((shard, i) => {
      writeRandomTensors(join(place, name(i)), shard, type, random);
    });
    if (shards.length > 1) {
      const entries = shards.flatMap((shard, i) => shard.map((spec) => [spec.name, name(i)]));
      const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(entries) };
      writeFileSync(join(place, "model.safetensors.index.json"), JSON.stringify(index, null, 2));
    }
    const json = JSON.stringify(toHuggingFaceConfig(config, type), null, 2);
    writeFileSync(join(place, "config.json"), json);
    if (tokenizer !== undefined) copyFileSync(tokenizer, join(place, "tokenizer.model"));
  });
}

/** Writes one safetensors file of random tensors piece by piece: no tensor is ever whole in memory. */
export function writeRandomTensors(
  path: string,
  specs: readonly WeightSpec[],
  type: StoredType,
  random: (bytes: number) => Iterable<Uint8Array> = endlessRandom(type),
): void {
  let end = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const spec of specs) {
    const begin = end;
    end += byteLength(spec, type);
    const dtype = type === "float32" ? "F32" : "BF16";
    header[spec.name] = { dtype, shape: spec.shape, data_offsets: [begin, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  start.writeBigUInt64LE(BigInt(start.length - 8));
  json.copy(start, 8);
  const pieces = function* (): Iterable<Uint8Array> {
    yield start;
    for (const spec of specs) {
      const bytes = byteLength(spec, type);
      if (spec.shape.length === 1) yield new Uint8Array(bytes);
      else yield* random(bytes);
    }
  };
  writeFileAtomic(path, pieces());
}

const byteLength = ({ shape }: WeightSpec, type: StoredType): number =>
  shape.reduce((a, b) => a * b, 1) * itemBytes[type];

/** One random block, given out again and again; every request goes on where the last one ended. */
function endlessRandom(type: StoredType): (bytes: number) => Iterable<Uint8Array> {
  const random = createRandom({ seed: 1, stream: "init" });
  const values = new Float32Array(blockLength);
  const limit = 0.02 * Math.sqrt(3);
  for (let i = 0; i < blockLength; i++) values[i] = (random.uint32() / 2 ** 31 - 1) * limit;
  const stored = type === "float32" ? values : float32ToBfloat16(values);
  const block = new Uint8Array(stored.buffer);
  let at = 0;
  return function* (bytes) {
    for (let left = bytes; left > 0; ) {
      const piece = block.subarray(at, Math.min(block.length, at + left));
      yield piece;
      left -= piece.length;
      at = (at + piece.length) % block.length;
    }
  };
}

function intoShards(specs: readonly WeightSpec[], type: StoredType): WeightSpec[][] {
  const shards: WeightSpec[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const spec of specs) {
    const bytes = byteLength(spec, type);
    if (size + bytes > largestShard) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(spec);
    size += bytes;
  }
  return shards;
}

function requireRoom(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(dirname(folder));
  const free = bavail * bsize;
  const needed = 1.1 * bytes + 2 ** 28;
  if (free >= needed) return;
  const gb = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
  throw new FacetError(
    `${folder} needs ${gb(needed)} of disk for random weights, and ${gb(free)} are free. Make room and try again.`,
  );
}
