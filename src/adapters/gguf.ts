import { FacetError, unknownName } from "../errors.js";
import { type GgufTensor, readGguf } from "../formats/gguf/readGguf.js";
import { f32, type GgufMetadata, type GgufValue, text, u32 } from "../formats/gguf/values.js";
import { type GgufTensorToWrite, writeGguf } from "../formats/gguf/writeGguf.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { readWhole } from "../formats/storedTensor.js";
import type { FamilyName } from "../models/gemma/family.js";
import { fromGgufModule, ggufArchitectures, toGgufModule } from "../models/gemma/ggufNames.js";
import type { AdapterFile } from "./adapterFile.js";

/**
 * LoRA adapters as llama.cpp has them (convert_lora_to_gguf.py and src/llama-adapter.cpp): per layer two tensors,
 * `<name>.weight.lora_a` [rank, in] and `.lora_b` [out, rank], and one alpha for all; the scale of a layer is
 * alpha / its rank.
 */
export interface GgufAdapter extends AdapterFile {
  /** The family of models that it is for. */
  readonly family: FamilyName;
}

const keys = {
  architecture: "general.architecture",
  kind: "general.type",
  adapterType: "adapter.type",
  name: "general.name",
  baseCount: "general.base_model.count",
  baseName: "general.base_model.0.name",
  alpha: "adapter.lora.alpha",
  quantizationVersion: "general.quantization_version",
} as const;

/** Values that change what an adapter computes, or when. */
const refusedKeys = {
  "adapter.alora.invocation_tokens": "it acts only after its invocation tokens",
  "adapter.lora.prompt_prefix": "it wants a text of its own in front of every prompt",
} as const;

/**
 * Reads a GGUF adapter. Throws a FacetError for a file that is none, or for no Gemma; when a matrix lacks its partner
 * or does not fit it; and when there is any other tensor, or a setting that Facet would have to ignore.
 */
export function readGgufAdapter(path: string): GgufAdapter {
  const { metadata, tensors } = readGguf(path);
  const family = familyIn(metadata, path);
  for (const [key, reason] of Object.entries(refusedKeys)) {
    if (metadata.has(key)) {
      throw new FacetError(`${path}: the adapter cannot be used as it is: ${reason} (${key}).`);
    }
  }
  const alpha = metadata.get(keys.alpha)?.value ?? 0;
  if (typeof alpha !== "number" || !Number.isFinite(alpha) || alpha < 0) {
    throw new FacetError(
      `${path}: ${keys.alpha} is ${String(alpha)}, no number that alpha can be.`,
    );
  }
  const matrices = new Map<string, LoraMatrices>();
  for (const [module, pair] of pairTensors(path, tensors)) {
    matrices.set(module, readPair(path, module, pair, alpha));
  }
  const baseModel = metadata.get(keys.baseName)?.value;
  return { family, matrices, baseModel: typeof baseModel === "string" ? baseModel : undefined };
}

/**
 * Writes an adapter for llama.cpp and what is built on it. Where all layers have one alpha (scale · rank), it is written
 * as it is; otherwise each layer's scale is folded into its B. Throws a FacetError for what GGUF cannot hold: DoRA,
 * layers that llama.cpp does not adapt, and with F16 values beyond its range.
 */
export function writeGgufAdapter(
  path: string,
  adapter: AdapterFile,
  options: {
    readonly family: FamilyName;
    readonly name: string;
    readonly type: "F32" | "F16";
  },
): void {
  const { family, name, type } = options;
  const { matrices, baseModel } = adapter;
  const where = `Cannot write the adapter ${path}`;
  if (matrices.size === 0) throw new FacetError(`${where}: it adapts no layer.`);
  const alpha = commonAlpha([...matrices.values()]);
  const tensors = [...matrices].flatMap(([module, lora]): GgufTensorToWrite[] => {
    const layer = toGgufModule(module);
    if (layer === undefined) {
      throw new FacetError(
        `${where}: llama.cpp adapts the linear layers of blocks, and ${module} is none. Export the merged model instead.`,
      );
    }
    if (lora.magnitude !== undefined) {
      throw new FacetError(
        `${where}: it is a DoRA adapter (${module} has magnitudes), which GGUF cannot hold. Export the merged model instead.`,
      );
    }
    const { a, b, rank, inFeatures, outFeatures } = lora;
    const factor = alphaOf(lora) === alpha ? 1 : (lora.scale * rank) / alpha;
    const scaled = factor === 1 ? b : b.map((value) => value * factor);
    if (type === "F16")
      for (const values of [a, scaled]) requireHalf(values, `${where}: ${module}`);
    const one = (values: Float32Array) => () => [values];
    return [
      { name: `${layer}.weight.lora_a`, shape: [rank, inFeatures], type, data: one(a) },
      { name: `${layer}.weight.lora_b`, shape: [outFeatures, rank], type, data: one(scaled) },
    ];
  });
  const metadata: [string, GgufValue][] = [
    [keys.architecture, text(ggufArchitectures[family])],
    [keys.kind, text("adapter")],
    [keys.adapterType, text("lora")],
    [keys.name, text(name)],
  ];
  if (baseModel !== undefined) {
    metadata.push([keys.baseCount, u32(1)], [keys.baseName, text(baseModel)]);
  }
  metadata.push([keys.alpha, f32(alpha)], [keys.quantizationVersion, u32(2)]);
  writeGguf(path, new Map(metadata), tensors);
}

/** The file's name as llama.cpp's converters form it, for example `gemma-2b-F32-LoRA.gguf`. */
export const ggufAdapterFileName = (name: string, type: string): string =>
  `${name.trim().replaceAll(/[\s/\\]+/g, "-")}-${type}-LoRA.gguf`;

function familyIn(metadata: GgufMetadata, path: string): FamilyName {
  const kind = metadata.get(keys.kind)?.value;
  const adapterType = metadata.get(keys.adapterType)?.value;
  if (kind !== "adapter" || adapterType !== "lora") {
    const what = kind === "adapter" ? `an adapter of the type ${String(adapterType)}` : "a model";
    throw new FacetError(`${path} is ${what}, not a LoRA adapter.`);
  }
  const architecture = metadata.get(keys.architecture)?.value;
  for (const [family, name] of Object.entries(ggufArchitectures)) {
    if (name === architecture) return family as FamilyName;
  }
  throw unknownName(
    `architecture of ${path}`,
    String(architecture),
    Object.values(ggufArchitectures),
  );
}

interface Pair {
  readonly a: GgufTensor;
  readonly b: GgufTensor;
}

function pairTensors(path: string, tensors: ReadonlyMap<string, GgufTensor>): Map<string, Pair> {
  const pairs = new Map<string, Partial<Pair>>();
  for (const [name, tensor] of tensors) {
    const [, layer, matrix] = /^(.+)\.weight\.lora_([ab])$/.exec(name) ?? [];
    if (layer === undefined) {
      throw new FacetError(
        `${path}: tensor "${name}" is not a LoRA matrix, and Facet would have to ignore it.`,
      );
    }
    const module = fromGgufModule(layer);
    if (module === undefined) {
      throw new FacetError(
        `${path}: tensor "${name}" adapts ${layer}; Facet adapts only the linear layers of blocks.`,
      );
    }
    pairs.set(module, { ...pairs.get(module), [matrix!]: tensor });
  }
  if (pairs.size === 0) throw new FacetError(`${path}: there is no LoRA matrix in it.`);
  return new Map(
    [...pairs].map(([module, { a, b }]) => {
      if (a !== undefined && b !== undefined) return [module, { a, b }];
      const [there, missing] = a === undefined ? ["b", "a"] : ["a", "b"];
      throw new FacetError(`${path}: ${module} has lora_${there} but no lora_${missing}.`);
    }),
  );
}

function readPair(path: string, module: string, { a, b }: Pair, alpha: number): LoraMatrices {
  const [rank, inFeatures] = a.shape;
  const [outFeatures, columns] = b.shape;
  const matrices = a.shape.length === 2 && b.shape.length === 2;
  if (!matrices || rank !== columns || !rank || !inFeatures || !outFeatures) {
    throw new FacetError(
      `${path}: the matrices of ${module} are [${a.shape}] and [${b.shape}], not [rank, in] and [out, rank].`,
    );
  }
  return {
    a: readWhole(a),
    b: readWhole(b),
    rank,
    inFeatures,
    outFeatures,
    // llama.cpp takes an alpha of 0 for none.
    scale: alpha === 0 ? 1 : alpha / rank,
  };
}

/** The alpha that all layers have, or where they differ the largest rank, to which their scales are then brought. */
function commonAlpha(matrices: readonly LoraMatrices[]): number {
  const [first, ...others] = matrices.map(alphaOf);
  if (first! > 0 && others.every((alpha) => alpha === first)) return first!;
  return Math.max(...matrices.map(({ rank }) => rank));
}

const alphaOf = ({ scale, rank }: LoraMatrices) => Math.fround(scale * rank);

function requireHalf(values: Float32Array, where: string): void {
  // 65520 is halfway between the largest half and the next power of two.
  const large = values.find((value) => Math.abs(value) >= 65520);
  if (large !== undefined) {
    throw new FacetError(`${where} has the value ${large}, which F16 cannot hold. Write F32.`);
  }
}
