import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "./atomicFile.js";
import type { LoraMatrices } from "./loraMatrices.js";
import { type PeftConfig, peftConfigText, ranksAndScales, readPeftConfig } from "./peftConfig.js";
import { labelsMetadata, readLabels } from "./peftLabels.js";
import { endsInOneOf } from "./peftPatterns.js";
import { savedModules, wholeTensors, withHead } from "./peftWhole.js";
import { readFloat32, readSafetensorsHeader, type TensorInfo } from "./safetensors.js";
import { type TensorToWrite, writeSafetensors } from "./safetensorsWriting.js";
import type { StoredTensor } from "./storedTensor.js";

const CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";
const PREFIX = "base_model.model.";

/**
 * Reads a PEFT LoRA or DoRA folder. The keys of `matrices` are module paths in the base model, such as
 * "model.layers.0.self_attn.q_proj"; those of `whole` are tensors that the adapter replaces, such as "model.norm.weight". F16, BF16 and F64 become float32.
 * Throws FacetError, naming file and tensor, when a matrix lacks its partner, has another rank or shape than the
 * configuration and its partner say, or belongs to a module that is not targeted; when there is any other tensor;
 * and for everything that `readPeftConfig` refuses.
 */
export function readPeftAdapter(folder: string): {
  config: PeftConfig;
  matrices: Map<string, LoraMatrices>;
  whole: Map<string, StoredTensor>;
  /** Of a classifier, the names of its head's rows. */
  labels: readonly string[] | undefined;
} {
  const root = resolve(folder);
  if (!existsSync(join(root, CONFIG))) {
    throw new FacetError(`${root} is not a PEFT adapter: it has no ${CONFIG}.`);
  }
  const config = readPeftConfig(join(root, CONFIG));
  const file = join(root, WEIGHTS);
  if (!existsSync(file) && existsSync(join(root, "adapter_model.bin"))) {
    throw new FacetError(
      `${root} has its weights in adapter_model.bin, a format that can run code. Save it again in PEFT as safetensors.`,
    );
  }
  const { tensors, metadata } = readSafetensorsHeader(file);
  const { whole, lora } = wholeTensors(file, tensors, config);
  const modules = groupTensors(file, lora);
  const checkTargeted = targetCheck(config, root);
  const scales = ranksAndScales(config, [...modules.keys()]);
  const matrices = new Map<string, LoraMatrices>();
  for (const [module, { a, b, magnitude }] of modules) {
    checkTargeted(module);
    const { rank, scale } = scales.get(module)!;
    const [aRows, inFeatures] = matrixShape(a);
    const [outFeatures, bColumns] = matrixShape(b);
    for (const [info, found] of [
      [a, aRows],
      [b, bColumns],
    ] as const) {
      if (found !== rank) {
        throw new FacetError(
          `${file}: tensor "${info.name}" is [${info.shape}], of rank ${found}; ${CONFIG} gives ${module} rank ${rank}.`,
        );
      }
    }
    checkMagnitude(config.useDora, magnitude, outFeatures, `${file}: ${module}`);
    matrices.set(module, {
      a: readFloat32(a),
      b: readFloat32(b),
      rank,
      inFeatures,
      outFeatures,
      scale,
      ...(magnitude && { magnitude: readFloat32(magnitude) }),
    });
  }
  return { config, matrices, whole, labels: readLabels(file, whole, metadata) };
}

/**
 * Writes a PEFT LoRA folder that PEFT, vLLM, llama.cpp and Ollama read: all matrices of one rank, in F32. With patterns
 * for ranks and alphas only PEFT reads it.
 * The folder is made, or replaced as a whole when it holds an adapter and nothing else.
 * Throws FacetError when alpha is no positive whole number (Ollama reads an integer), when a matrix has another
 * rank, scale or size than it should, or a module that `targetModules` does not name, and when the folder holds
 * other files.
 */
export async function writePeftAdapter(
  folder: string,
  adapter: {
    readonly matrices: ReadonlyMap<string, LoraMatrices>;
    readonly rank: number;
    readonly alpha: number;
    readonly targetModules: readonly string[];
    /** Numbers of the blocks that are adapted; default: all. */
    readonly layersToTransform?: readonly number[] | null;
    /** What `base_model_name_or_path` should say: a Hugging Face name or a folder. */
    readonly baseModel: string | null;
    readonly useRslora?: boolean;
    readonly rankPattern?: ReadonlyMap<string, number>;
    readonly alphaPattern?: ReadonlyMap<string, number>;
    /** Tensors of the base model that the adapter replaces, by name. */
    readonly whole?: ReadonlyMap<string, StoredTensor>;
    /** Of a classifier, the names of the rows of `score.weight`, which is among `whole`. */
    readonly labels?: readonly string[];
  },
): Promise<void> {
  const { matrices, rank, alpha, targetModules, baseModel, useRslora = false } = adapter;
  const root = resolve(folder);
  const where = `Cannot write the adapter ${root}`;
  if (!Number.isInteger(alpha) || alpha <= 0) {
    throw new FacetError(`${where}: alpha ${alpha} is not a positive whole number.`);
  }
  const whole = withHead(adapter.whole ?? new Map());
  const config: PeftConfig = {
    modulesToSave: savedModules(whole.keys()),
    ...{ rank, alpha, useRslora, targetModules, baseModel },
    rankPattern: adapter.rankPattern ?? new Map(),
    alphaPattern: adapter.alphaPattern ?? new Map(),
    useDora: [...matrices.values()].some(({ magnitude }) => magnitude !== undefined),
    layersToTransform: adapter.layersToTransform ?? null,
    excludesModules: false,
  };
  const checkTargeted = targetCheck(config, root);
  const expected = ranksAndScales(config, [...matrices.keys()]);
  for (const [module, lora] of matrices) {
    checkTargeted(module);
    checkMatrices(lora, expected.get(module)!, config.useDora, `${where}: ${module}`);
  }
  const others = existsSync(root)
    ? readdirSync(root).filter((name) => name !== CONFIG && name !== WEIGHTS)
    : [];
  if (others.length > 0) {
    throw new FacetError(
      `${where}: the folder also holds ${others.slice(0, 5).join(", ")}. Choose a new folder.`,
    );
  }
  await writeFolderAtomic(root, (temporary) => {
    writeFileAtomic(join(temporary, CONFIG), peftConfigText(config));
    writeSafetensors(
      join(temporary, WEIGHTS),
      tensorsOf(matrices, whole),
      labelsMetadata(adapter.labels),
    );
  });
}

interface ModuleTensors {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly magnitude?: TensorInfo;
}

/**
 * PEFT's own names are `base_model.model.<module>.lora_A.weight`, `.lora_B.weight` and `.lora_magnitude_vector`. Some
 * tools leave out the prefix, keep PEFT's name of the adapter ("default"), or add `.weight` to all three.
 */
const TENSOR =
  /^(?:base_model\.model\.)?(.+)\.(?:lora_([AB])(?:\.default)?\.weight|lora_magnitude_vector(?:\.default)?(?:\.weight)?)$/;

/** No model has such names, and to look for their parts takes the square of their length. */
const LONGEST_NAME = 1000;

function groupTensors(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
): Map<string, ModuleTensors> {
  const groups = new Map<string, Partial<ModuleTensors>>();
  for (const [name, info] of tensors) {
    if (name.length > LONGEST_NAME) throw new FacetError(`${file}: a tensor's name is too long.`);
    const [, module, letter] = TENSOR.exec(name) ?? [];
    if (module === undefined) throw unusableTensor(file, name);
    const part = letter === undefined ? "magnitude" : letter === "A" ? "a" : "b";
    const group = groups.get(module) ?? {};
    if (group[part] !== undefined) {
      throw new FacetError(`${file}: "${name}" and "${group[part].name}" are for the same matrix.`);
    }
    groups.set(module, { ...group, [part]: info });
  }
  if (groups.size === 0) throw new FacetError(`${file}: there is no LoRA matrix in it.`);
  const complete = new Map<string, ModuleTensors>();
  for (const [module, { a, b, magnitude }] of groups) {
    if (a === undefined || b === undefined) {
      const there = a !== undefined ? "lora_A" : b !== undefined ? "lora_B" : "a magnitude vector";
      const missing = a === undefined ? "lora_A" : "lora_B";
      throw new FacetError(`${file}: ${module} has ${there} but no ${missing}.`);
    }
    complete.set(module, { a, b, ...(magnitude && { magnitude }) });
  }
  return complete;
}

/** PEFT ignores magnitudes without use_dora, and makes up those that are missing with it. */
function checkMagnitude(
  useDora: boolean,
  magnitude: TensorInfo | undefined,
  outFeatures: number,
  where: string,
): void {
  if (useDora !== (magnitude !== undefined)) {
    throw new FacetError(
      useDora
        ? `${where} has no lora_magnitude_vector, but ${CONFIG} says use_dora.`
        : `${where} has a lora_magnitude_vector, but ${CONFIG} does not say use_dora.`,
    );
  }
  if (magnitude !== undefined && magnitude.shape.join() !== `${outFeatures}`) {
    throw new FacetError(
      `${where} has a lora_magnitude_vector of [${magnitude.shape}], not [${outFeatures}].`,
    );
  }
}

function unusableTensor(file: string, name: string): FacetError {
  const reasons: readonly (readonly [RegExp, string])[] = [
    [/\.lora_embedding_[AB]/, "it adapts the embedding, which Facet does not"],
    [/\.lora_B\.bias$/, "it is a trained bias, which Gemma's layers do not have"],
    [/\.lora_/, `its name is not "${PREFIX}<module>.lora_A.weight" or ".lora_B.weight"`],
  ];
  const reason =
    reasons.find(([pattern]) => pattern.test(name))?.[1] ??
    "it is not a LoRA matrix, and Facet would have to ignore it";
  return new FacetError(`${file}: tensor "${name}" cannot be used: ${reason}.`);
}

/** Throws for a module that is not targeted: PEFT itself drops its matrices, so the adapter would not be what it seems. */
function targetCheck(config: PeftConfig, root: string): (module: string) => void {
  const { targetModules: targets, layersToTransform } = config;
  if (targets === null || typeof targets === "string") return () => {};
  const paths = new Set(targets);
  const isTargeted = endsInOneOf(targets);
  const layers = layersToTransform && new Set(layersToTransform);
  return (module) => {
    if (paths.has(module)) return;
    if (!isTargeted(module)) {
      throw new FacetError(
        `${root}: ${module} has LoRA matrices, but target_modules names only ${targets.join(", ")}.`,
      );
    }
    const layer = /\.(\d+)\./.exec(module)?.[1];
    if (layers !== null && (layer === undefined || !layers.has(Number(layer)))) {
      throw new FacetError(
        `${root}: ${module} has LoRA matrices, but layers_to_transform names only ${[...layers].join(", ")}.`,
      );
    }
  };
}

function matrixShape({ file, name, shape }: TensorInfo): readonly [number, number] {
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new FacetError(`${file}: tensor "${name}" is [${shape}], not a matrix.`);
  }
  return [rows, columns];
}

function checkMatrices(
  lora: LoraMatrices,
  { rank, scale }: { rank: number; scale: number },
  useDora: boolean,
  where: string,
): void {
  if (lora.rank !== rank) {
    throw new FacetError(`${where} has rank ${lora.rank}, but the adapter's rank is ${rank}.`);
  }
  if (Math.abs(lora.scale - scale) > 1e-6 * scale) {
    throw new FacetError(
      `${where} has scale ${lora.scale}, but the adapter's alpha and rank give ${scale}.`,
    );
  }
  if (useDora && lora.magnitude === undefined) {
    throw new FacetError(`${where} has no magnitudes, but others have; DoRA is for all or none.`);
  }
}

function* tensorsOf(
  matrices: ReadonlyMap<string, LoraMatrices>,
  whole: ReadonlyMap<string, StoredTensor>,
): Iterable<TensorToWrite> {
  for (const [name, { shape, read }] of whole)
    yield { name: `${PREFIX}${name}`, dtype: "F32", shape, data: read };

  for (const [module, { a, b, magnitude, rank, inFeatures, outFeatures }] of matrices) {
    const name = `${PREFIX}${module}`;
    yield { name: `${name}.lora_A.weight`, dtype: "F32", shape: [rank, inFeatures], data: a };
    yield { name: `${name}.lora_B.weight`, dtype: "F32", shape: [outFeatures, rank], data: b };
    if (magnitude !== undefined) {
      const shape = [outFeatures];
      yield { name: `${name}.lora_magnitude_vector`, dtype: "F32", shape, data: magnitude };
    }
  }
}
