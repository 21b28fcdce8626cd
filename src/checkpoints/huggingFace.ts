import { basename, join, resolve } from "node:path";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import { openCheckpoint } from "../formats/checkpoint.js";
import { storedTensor } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import { readStrictJson } from "../formats/strictJson.js";
import { readGemmaConfig, toHuggingFaceConfig } from "../models/gemma/config.js";
import { bindWeights } from "../models/gemma/model.js";
import { textTensors } from "../models/gemma/textTensors.js";
import { readTokenizer } from "../tokenizers/tokenizerFiles.js";
import type { Checkpoint } from "./checkpoint.js";
import { companionsOf, readChatTemplate, writeCompanions } from "./companions.js";
import { textModel } from "./textModel.js";

/** Reads a folder as Hugging Face lays it out. Throws a FacetError for anything missing, unknown or of the wrong shape. */
export function readHuggingFace(folder: string): Checkpoint {
  const root = resolve(folder);
  const config = readGemmaConfig(root);
  const bound = bindWeights(config, textTensors(config, openCheckpoint(root)), root);
  return {
    name: basename(root),
    config,
    tensors: new Map([...bound].map(([name, info]) => [name, storedTensor(info)])),
    tokenizer: readTokenizer(root, config.vocabularySize),
    chatTemplate: readChatTemplate(root),
    quantised: readQuantised(root),
    companions: companionsOf(root),
  };
}

export type HuggingFaceType = "F32" | "F16" | "BF16";

const typeNames = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;
const itemBytes = { F32: 4, F16: 2, BF16: 2 } as const;

/** As large as Transformers makes them. */
const largestShard = 5e9;

/**
 * Writes a folder that Transformers, vLLM, llama.cpp's converter and others open as it is: config.json,
 * generation_config.json, the weights in one file or in shards, the tokenizer, and `card` as README.md.
 * Of a multimodal model it holds the text model. An existing folder is replaced as a whole.
 */
export async function writeHuggingFace(
  folder: string,
  checkpoint: Checkpoint,
  options: {
    /** Type of every tensor; default: what each is stored as. */
    readonly dtype?: HuggingFaceType | undefined;
    readonly card?: string | undefined;
    /** Most bytes of one file of weights; default 5 GB. */
    readonly shardBytes?: number;
  },
): Promise<void> {
  const { dtype, card, shardBytes = largestShard } = options;
  const { config, tensors, quantised = [], ...texts } = textModel(checkpoint);
  await writeFolderAtomic(folder, (place) => {
    const json = (name: string, value: unknown) =>
      writeFileAtomic(join(place, name), `${JSON.stringify(value, null, 2)}\n`);
    const typed = new Map(
      [...tensors].map(([name, tensor]) => [name, { ...tensor, dtype: dtype ?? tensor.dtype }]),
    );
    const [embedding] = typed.values();
    json("config.json", {
      ...toHuggingFaceConfig(config, typeNames[embedding!.dtype]),
      ...(quantised.length > 0 && { [quantisedKey]: quantised }),
    });
    const shards = intoShards(typed, shardBytes);
    for (const [name, shard] of shards) {
      const parts = [...shard].map(([name, { read, ...type }]) => ({ name, ...type, data: read }));
      writeSafetensors(join(place, name), parts);
    }
    if (shards.size > 1) json("model.safetensors.index.json", indexOf(shards));
    writeCompanions(place, texts);
    if (card !== undefined) writeFileAtomic(join(place, "README.md"), card);
  });
}

type Tensors = ReadonlyMap<string, StoredTensor>;

const byteLength = ({ shape, dtype }: StoredTensor) =>
  shape.reduce((product, size) => product * size, itemBytes[dtype]);

/** Tensors by file name, in their order; a file holds as many as fit. */
function intoShards(tensors: Tensors, shardBytes: number): Map<string, Tensors> {
  const shards: Map<string, StoredTensor>[] = [];
  let room = 0;
  for (const [name, tensor] of tensors) {
    const bytes = byteLength(tensor);
    if (bytes > room) {
      shards.push(new Map());
      room = shardBytes;
    }
    shards.at(-1)!.set(name, tensor);
    room -= bytes;
  }
  const five = (n: number) => `${n}`.padStart(5, "0");
  return new Map(
    shards.map((shard, i) => [
      shards.length === 1
        ? "model.safetensors"
        : `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`,
      shard,
    ]),
  );
}

function indexOf(shards: ReadonlyMap<string, Tensors>) {
  const entries = [...shards].flatMap(([file, shard]) =>
    [...shard.keys()].map((name) => [name, file]),
  );
  const sizes = [...shards.values()].flatMap((shard) => [...shard.values()]);
  const total_size = sizes.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  return { metadata: { total_size }, weight_map: Object.fromEntries(entries) };
}

/** Where Facet writes in config.json which quantised types the weights were in before; others leave such a key alone. */
const quantisedKey = "dequantized_from";

/** The quantised types that the weights of a folder were in before Facet wrote them. */
export function readQuantised(folder: string): string[] {
  const types = (readStrictJson(join(folder, "config.json")) as Record<string, unknown> | null)?.[
    quantisedKey
  ];
  if (!Array.isArray(types)) return [];
  return types.filter((type) => typeof type === "string" && /^\w{1,16}$/.test(type));
}
