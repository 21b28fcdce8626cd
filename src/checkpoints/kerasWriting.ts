import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import type { Hdf5DatasetToWrite, Hdf5GroupToWrite } from "../formats/hdf5/layout.js";
import { writeHdf5 } from "../formats/hdf5/writeHdf5.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import { transposed } from "../formats/transposed.js";
import type { GemmaConfig } from "../models/gemma/config.js";
import { familyOf } from "../models/gemma/family.js";
import { toKerasConfig } from "../models/gemma/kerasConfig.js";
import { type KerasTensor, kerasTensors } from "../models/gemma/kerasNames.js";
import { parameterCount } from "../models/gemma/model.js";
import { sentencePieceBytes } from "../tokenizers/modelFileWriting.js";
import type { Checkpoint } from "./checkpoint.js";
import { kerasFiles, kerasPath } from "./keras.js";
import { textModel } from "./textModel.js";

export type KerasType = "F32" | "F16" | "BF16";
const typeNames = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** KerasHub splits weights of more than 10 GiB. */
const largestShard = 10 * 2 ** 30;

/** The versions whose files these are. */
const versions = { keras_version: "3.16.0", keras_hub_version: "0.32.0" } as const;

/**
 * Writes a preset's folder that `keras_hub.models.GemmaCausalLM.from_preset` opens. An existing folder is replaced as
 * a whole. Throws a FacetError for a model without a tokenizer, and for one that KerasHub has no place for.
 */
export async function writeKerasPreset(
  folder: string,
  checkpoint: Checkpoint,
  options: {
    readonly dtype: KerasType;
    /** Most bytes of one file of weights; default 10 GiB. */
    readonly shardBytes?: number;
  },
): Promise<void> {
  const { dtype, shardBytes = largestShard } = options;
  const { config, tensors, tokenizer } = textModel(checkpoint);
  if (tokenizer === undefined) {
    throw new FacetError(`${checkpoint.name} has no tokenizer, which a Keras preset needs.`);
  }
  const files = describe(config, typeNames[dtype]);
  await writeFolderAtomic(folder, (place) => {
    const json = (name: string, value: unknown) =>
      writeFileAtomic(join(place, name), JSON.stringify(value, null, 4));
    for (const [name, value] of Object.entries(files)) json(`${name}.json`, value);
    const vocabulary = join(place, kerasFiles.vocabulary);
    mkdirSync(dirname(vocabulary), { recursive: true });
    writeFileAtomic(vocabulary, sentencePieceBytes(tokenizer));
    const shards = intoShards(kerasTensors(config), dtype, shardBytes);
    if (shards.length === 1) {
      writeHdf5(join(place, kerasFiles.weights), tree(config, shards[0]!, tensors, dtype));
      return;
    }
    const weightMap: Record<string, string> = {};
    let total = 0;
    shards.forEach((shard, i) => {
      const name = `model_${`${i}`.padStart(5, "0")}.weights.h5`;
      writeHdf5(join(place, name), tree(config, shard, tensors, dtype));
      for (const tensor of shard.values()) {
        weightMap[dirname(kerasPath(tensor))] = name;
        total += byteLength(tensor, dtype);
      }
    });
    json(kerasFiles.shards, { metadata: { total_size: total }, weight_map: weightMap });
  });
}

const byteLength = ({ shape }: KerasTensor, dtype: KerasType) =>
  shape.reduce((product, size) => product * size, dtype === "F32" ? 4 : 2);

type Tensors = ReadonlyMap<string, KerasTensor>;

function intoShards(tensors: Tensors, dtype: KerasType, shardBytes: number): Tensors[] {
  const shards: Map<string, KerasTensor>[] = [];
  let room = 0;
  for (const [name, tensor] of tensors) {
    const bytes = byteLength(tensor, dtype);
    if (bytes > room) {
      shards.push(new Map());
      room = shardBytes;
    }
    shards.at(-1)!.set(name, tensor);
    room -= bytes;
  }
  return shards;
}

interface Group extends Hdf5GroupToWrite {
  readonly members: Map<string, Hdf5GroupToWrite | Hdf5DatasetToWrite>;
}

/** A weights file: a group per layer, in it `vars` with the layer's name and its variables. */
function tree(
  config: GemmaConfig,
  places: Tensors,
  tensors: ReadonlyMap<string, StoredTensor>,
  dtype: KerasType,
): Hdf5GroupToWrite {
  const group = (attributes?: Map<string, string>): Group => ({
    kind: "group",
    members: new Map(),
    ...(attributes && { attributes }),
  });
  const named = (name: string) => group(new Map([["name", name]]));
  const child = (parent: Group, key: string, make: () => Group): Group => {
    const found = parent.members.get(key) as Group | undefined;
    if (found !== undefined) return found;
    const made = make();
    parent.members.set(key, made);
    return made;
  };
  const root = group();
  child(root, "vars", () => named(`${familyOf(config).kerasClass.toLowerCase()}_backbone`));
  for (const [name, { layers, shape, transposed: turn }] of places) {
    let at = child(root, "layers", group);
    for (const [i, { key, name }] of layers.entries()) {
      at = child(at, key, group);
      const vars = child(at, "vars", () => named(name));
      if (i === layers.length - 1) at = vars;
    }
    const tensor = tensors.get(name)!;
    const back = turn && { batch: turn.batch, rows: turn.columns, columns: turn.rows };
    const { read } = back ? transposed(tensor, back, shape) : tensor;
    at.members.set("0", {
      ...{ kind: "dataset", type: dtype, shape, data: read },
      ...(dtype === "BF16" && { attributes: new Map([["dtype", "bfloat16"]]) }),
    });
  }
  return root;
}

/** The JSON files of a preset, by their names without the ending. */
function describe(config: GemmaConfig, dtype: string): Record<string, unknown> {
  const prefix = familyOf(config).kerasClass;
  const lower = prefix.toLowerCase();
  const policy = (name: string) => ({
    ...{ module: "keras", class_name: "DTypePolicy", config: { name }, registered_name: null },
  });
  const saved = (file: string, name: string, own: object) => ({
    module: `keras_hub.src.models.${lower}.${lower}_${file}`,
    class_name: `${prefix}${name}`,
    config: own,
    registered_name: `keras_hub>${prefix}${name}`,
  });
  const common = (file: string, type: string) => ({
    ...{ name: `${lower}_${file}`, trainable: true, dtype: policy(type) },
  });
  const isGemma3 = prefix === "Gemma3";
  const backbone = saved("backbone", "Backbone", {
    ...common("backbone", dtype),
    ...toKerasConfig(config),
  });
  const tokenizer = saved("tokenizer", "Tokenizer", {
    ...common("tokenizer", "int32"),
    config_file: "tokenizer.json",
    ...{ proto: null, sequence_length: null, add_bos: false, add_eos: false },
    ...(isGemma3 && { has_vision_tokens: false }),
  });
  const preprocessor = saved("causal_lm_preprocessor", "CausalLMPreprocessor", {
    ...common("causal_lm_preprocessor", "float32"),
    tokenizer,
    config_file: "preprocessor.json",
    ...{ sequence_length: 1024, add_start_token: true, add_end_token: true },
    ...(isGemma3 && { num_vision_tokens_per_image: 256, max_images_per_prompt: 2 }),
  });
  const task = saved("causal_lm", "CausalLM", {
    backbone,
    preprocessor,
    name: `${lower}_causal_lm`,
  });
  const date = new Date().toISOString().slice(0, 19).replace("T", "@");
  const metadata = { ...versions, parameter_count: parameterCount(config), date_saved: date };
  return {
    ...{ config: backbone, tokenizer, preprocessor, task },
    metadata: { ...metadata, tasks: ["CausalLM"] },
  };
}
