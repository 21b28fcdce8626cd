import { basename } from "node:path";
import { FacetError } from "../errors.js";
import { type GgufTensor, readGguf as readFile } from "../formats/gguf/readGguf.js";
import { type GgufMetadata, type GgufValue, text, u32 } from "../formats/gguf/values.js";
import { type GgufTensorToWrite, writeGguf as writeFile } from "../formats/gguf/writeGguf.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import { excerpt } from "../formats/strictJson.js";
import { fromGgufConfig, toGgufConfig } from "../models/gemma/ggufConfig.js";
import { ggufTensorNames } from "../models/gemma/ggufNames.js";
import { gemmaWeightSpecs } from "../models/gemma/weights.js";
import { partsFromGguf, toGgufVocabulary } from "../tokenizers/ggufVocabulary.js";
import { type TokenizerModel, tokenizerModel } from "../tokenizers/tokenizerModel.js";
import type { Checkpoint } from "./checkpoint.js";
import { textModel } from "./textModel.js";

const tokenizerKey = (name: string) => `tokenizer.ggml.${name}`;
const chatTemplateKey = "tokenizer.chat_template";

/**
 * Reads a GGUF file of a Gemma. Quantised blocks become float32 when they are read. Throws a FacetError for a model of
 * another architecture, and for tensors that are missing, unknown or of the wrong shape.
 */
export function readGguf(path: string): Checkpoint {
  const { metadata, tensors } = readFile(path);
  const embedding = tensors.get("token_embd.weight");
  if (embedding === undefined) {
    throw new FacetError(`${path}: it has no token_embd.weight, so it is no whole model.`);
  }
  const config = fromGgufConfig(metadata, embedding.shape[0] ?? 0, path);
  const name = metadata.get("general.name")?.value;
  const template = metadata.get(chatTemplateKey)?.value;
  return {
    name: typeof name === "string" && name !== "" ? name : basename(path, ".gguf"),
    config,
    tensors: bindTensors(path, config, tensors),
    tokenizer: readTokenizer(metadata, path),
    chatTemplate: typeof template === "string" ? template : undefined,
    quantised: quantisedTypes(tensors),
  };
}

function quantisedTypes(tensors: ReadonlyMap<string, GgufTensor>): string[] {
  const types = new Set<string>([...tensors.values()].map(({ type }) => type));
  return [...types].filter((type) => !["F32", "F16", "BF16"].includes(type)).sort();
}

function bindTensors(
  path: string,
  config: Checkpoint["config"],
  stored: ReadonlyMap<string, GgufTensor>,
): Map<string, StoredTensor> {
  const names = ggufTensorNames(config);
  const known = new Set([...names.values()].map(({ gguf }) => gguf));
  const unknown = [...stored.keys()].find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new FacetError(`${path}: ${unknown} is no tensor of this model.`);
  }
  return new Map(
    gemmaWeightSpecs(config).map(({ name, shape }) => {
      const { gguf, holdsSum } = names.get(name)!;
      const tensor = stored.get(gguf);
      if (tensor?.shape.join() !== shape.join()) {
        const found =
          tensor === undefined ? "is missing" : `has shape [${tensor.shape.join(", ")}]`;
        throw new FacetError(`${path}: ${gguf} ${found}; expected [${shape.join(", ")}].`);
      }
      return [name, holdsSum ? plus(tensor, -1) : tensor];
    }),
  );
}

/** Norms are small and stored as float32, which the sum is rounded to. */
const plus = ({ shape, read }: StoredTensor, summand: number): StoredTensor => ({
  shape,
  dtype: "F32",
  *read() {
    for (const piece of read()) yield piece.map((value) => value + summand);
  },
});

function readTokenizer(metadata: GgufMetadata, path: string): TokenizerModel | undefined {
  const kind = metadata.get(tokenizerKey("model"))?.value;
  if (kind === undefined || kind === "none" || kind === "no_vocab") return undefined;
  if (kind !== "llama") {
    throw new FacetError(
      `${path}: its tokenizer is of the kind ${excerpt(kind)}; Facet reads SentencePiece vocabularies ("llama").`,
    );
  }
  const list = (name: string, of: readonly string[]) => {
    const value = metadata.get(tokenizerKey(name));
    if (value?.type === "array" && of.includes(value.of)) return value.value;
    throw new FacetError(`${path}: ${tokenizerKey(name)} is not a list of ${of.join(" or ")}.`);
  };
  const id = (name: string) => Number(metadata.get(tokenizerKey(`${name}_token_id`))?.value);
  const vocabulary = {
    tokens: list("tokens", ["string"]) as readonly string[],
    scores: list("scores", ["float32"]) as readonly number[],
    types: list("token_type", ["int32", "uint32"]) as readonly number[],
    bosId: id("bos"),
    eosId: id("eos"),
    padId: id("padding"),
    addSpacePrefix: metadata.get(tokenizerKey("add_space_prefix"))?.value !== false,
  };
  return tokenizerModel(partsFromGguf(vocabulary, path), path);
}

/** The types a model can be written in, and what general.file_type of llama.h calls each. */
export const ggufFileTypes = { F32: 0, F16: 1, BF16: 32, Q8_0: 7, Q4_0: 2 } as const;
export type GgufFileType = keyof typeof ggufFileTypes;

/**
 * Writes a model for llama.cpp and what is built on it. Vectors stay float32. In a Q4_0 file the embedding, which is
 * the output head too, is Q8_0; and a matrix whose rows are not whole blocks is F16, as llama.cpp's quantiser falls
 * back to wider types. Throws a FacetError for a model that GGUF has no place for.
 */
export function writeGguf(
  path: string,
  checkpoint: Checkpoint,
  { type }: { readonly type: GgufFileType },
): void {
  const { name, config, tensors, tokenizer, chatTemplate } = textModel(checkpoint);
  const metadata = new Map<string, GgufValue>([
    ...toGgufConfig(config),
    ["general.type", text("model")],
    ["general.name", text(name)],
    ["general.file_type", u32(ggufFileTypes[type])],
    ["general.quantization_version", u32(2)],
    ...(tokenizer === undefined ? [] : tokenizerValues(tokenizer, config.vocabularySize)),
  ]);
  if (chatTemplate !== undefined) metadata.set(chatTemplateKey, text(chatTemplate));
  const names = ggufTensorNames(config);
  const parts = [...tensors].map(([name, tensor]): GgufTensorToWrite => {
    const { gguf, holdsSum } = names.get(name)!;
    const { shape, read } = holdsSum ? plus(tensor, 1) : tensor;
    return { name: gguf, shape, type: storedType(gguf, shape, type), data: read };
  });
  writeFile(path, metadata, parts);
}

function storedType(name: string, shape: readonly number[], type: GgufFileType): GgufFileType {
  if (shape.length < 2) return "F32";
  const quantised = type === "Q8_0" || type === "Q4_0";
  if (quantised && shape.at(-1)! % 32 !== 0) return "F16";
  return name === "token_embd.weight" && type === "Q4_0" ? "Q8_0" : type;
}

/** llama.cpp wants a token for every row of the embedding, so rows that no piece uses get a name. */
function tokenizerValues(tokenizer: TokenizerModel, rows: number): [string, GgufValue][] {
  const { tokens, scores, types, addSpacePrefix, ...ids } = toGgufVocabulary(tokenizer);
  const extra = Array.from({ length: rows - tokens.length }, (_, i) => tokens.length + i);
  const list = (of: "string" | "float32" | "int32", value: readonly (string | number)[]) =>
    ({ type: "array", of, value }) as const;
  const values: Record<string, GgufValue> = {
    model: text("llama"),
    pre: text("default"),
    tokens: list("string", [...tokens, ...extra.map((id) => `[PAD${id}]`)]),
    scores: list("float32", [...scores, ...extra.map(() => -10_000)]),
    token_type: list("int32", [...types, ...extra.map(() => 5)]),
    bos_token_id: u32(ids.bosId),
    eos_token_id: u32(ids.eosId),
    unknown_token_id: u32(tokenizer.unkId),
    padding_token_id: u32(ids.padId),
    add_bos_token: { type: "bool", value: true },
    add_eos_token: { type: "bool", value: false },
    add_space_prefix: { type: "bool", value: addSpacePrefix },
  };
  return Object.entries(values).map(([key, value]) => [tokenizerKey(key), value]);
}
