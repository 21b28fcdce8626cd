import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "./atomicFile.js";
import type { LoraMatrices } from "./loraMatrices.js";
import { loraScale, type PeftConfig, rankAndScale, readPeftConfig } from "./peftConfig.js";
import { readFloat32, readSafetensorsHeader, type TensorInfo } from "./safetensors.js";
import { type TensorToWrite, writeSafetensors } from "./safetensorsWriting.js";

const CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";
const PREFIX = "base_model.model.";

/**
 * Reads a PEFT LoRA folder. The keys of `matrices` are module paths in the base model, such as
 * "model.layers.0.self_attn.q_proj". F16, BF16 and F64 become float32.
 * Throws FacetError, naming file and tensor, when a matrix lacks its partner, has another rank or shape than the
 * configuration and its partner say, or belongs to a module that is not targeted; when there is any other tensor;
 * and for everything that `readPeftConfig` refuses.
 */
export function readPeftAdapter(folder: string): {
  config: PeftConfig;
  matrices: Map<string, LoraMatrices>;
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
  const modules = pairTensors(file, readSafetensorsHeader(file).tensors);
  const matrices = new Map<string, LoraMatrices>();
  for (const [module, { a, b }] of modules) {
    checkTargeted(config, module, root);
    const { rank, scale } = rankAndScale(config, module);
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
    matrices.set(module, {
      a: readFloat32(a),
      b: readFloat32(b),
      rank,
      inFeatures,
      outFeatures,
      scale,
    });
  }
  return { config, matrices };
}

/**
 * Writes a PEFT LoRA folder that PEFT, vLLM, llama.cpp and Ollama read: all matrices of one rank, in F32.
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
    /** What `base_model_name_or_path` should say: a Hugging Face name or a folder. */
    readonly baseModel: string;
    readonly useRslora?: boolean;
  },
): Promise<void> {
  const { matrices, rank, alpha, targetModules, baseModel, useRslora = false } = adapter;
  const root = resolve(folder);
  const where = `Cannot write the adapter ${root}`;
  if (!Number.isInteger(alpha) || alpha <= 0) {
    throw new FacetError(`${where}: alpha ${alpha} is not a positive whole number.`);
  }
  const config: PeftConfig = {
    ...{ rank, alpha, useRslora, targetModules, baseModel },
    rankPattern: new Map(),
    alphaPattern: new Map(),
  };
  for (const [module, lora] of matrices) {
    checkTargeted(config, module, root);
    checkMatrices(lora, rank, loraScale(alpha, rank, useRslora), `${where}: ${module}`);
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
    writeFileAtomic(join(temporary, CONFIG), configText(config));
    writeSafetensors(join(temporary, WEIGHTS), tensorsOf(matrices));
  });
}

function pairTensors(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
): Map<string, { a: TensorInfo; b: TensorInfo }> {
  const pairs = new Map<string, { a?: TensorInfo; b?: TensorInfo }>();
  for (const [name, info] of tensors) {
    const match = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(name);
    if (match === null) throw unusableTensor(file, name);
    const module = match[1]!;
    const pair = pairs.get(module) ?? {};
    pairs.set(module, { ...pair, [match[2] === "A" ? "a" : "b"]: info });
  }
  if (pairs.size === 0) throw new FacetError(`${file}: there is no LoRA matrix in it.`);
  const complete = new Map<string, { a: TensorInfo; b: TensorInfo }>();
  for (const [module, { a, b }] of pairs) {
    if (a === undefined || b === undefined) {
      const [there, missing] = a === undefined ? ["B", "A"] : ["A", "B"];
      throw new FacetError(`${file}: ${module} has lora_${there} but no lora_${missing}.`);
    }
    complete.set(module, { a, b });
  }
  return complete;
}

function unusableTensor(file: string, name: string): FacetError {
  const reasons: readonly (readonly [RegExp, string])[] = [
    [/\.lora_magnitude_vector/, "it is part of a DoRA adapter, which is not plain LoRA"],
    [/\.lora_embedding_[AB]/, "it adapts the embedding, which Facet does not"],
    [/\.lora_B\.bias$/, "it is a trained bias, which Gemma's layers do not have"],
    [/\.lora_[AB]\./, `its name is not "${PREFIX}<module>.lora_A.weight" or ".lora_B.weight"`],
  ];
  const reason =
    reasons.find(([pattern]) => pattern.test(name))?.[1] ??
    "it is not a LoRA matrix, and Facet would have to ignore it";
  return new FacetError(`${file}: tensor "${name}" cannot be used: ${reason}.`);
}

/** PEFT itself drops the matrices of other modules, so the adapter would not be what it seems. */
function checkTargeted(config: PeftConfig, module: string, root: string): void {
  const targets = config.targetModules;
  if (targets === null || typeof targets === "string") return;
  if (!targets.some((target) => module === target || module.endsWith(`.${target}`))) {
    throw new FacetError(
      `${root}: ${module} has LoRA matrices, but target_modules names only ${targets.join(", ")}.`,
    );
  }
}

function matrixShape({ file, name, shape }: TensorInfo): readonly [number, number] {
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new FacetError(`${file}: tensor "${name}" is [${shape}], not a matrix.`);
  }
  return [rows, columns];
}

function checkMatrices(lora: LoraMatrices, rank: number, scale: number, where: string): void {
  if (lora.rank !== rank) {
    throw new FacetError(`${where} has rank ${lora.rank}, but the adapter's rank is ${rank}.`);
  }
  if (Math.abs(lora.scale - scale) > 1e-6 * scale) {
    throw new FacetError(
      `${where} has scale ${lora.scale}, but the adapter's alpha and rank give ${scale}.`,
    );
  }
}

function* tensorsOf(matrices: ReadonlyMap<string, LoraMatrices>): Iterable<TensorToWrite> {
  for (const [module, { a, b, rank, inFeatures, outFeatures }] of matrices) {
    const name = `${PREFIX}${module}`;
    yield { name: `${name}.lora_A.weight`, dtype: "F32", shape: [rank, inFeatures], data: a };
    yield { name: `${name}.lora_B.weight`, dtype: "F32", shape: [outFeatures, rank], data: b };
  }
}

/** Only fields that old readers know too, keys sorted as PEFT sorts them. */
function configText(config: PeftConfig): string {
  const fields = {
    alpha_pattern: {},
    base_model_name_or_path: config.baseModel,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: config.alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: "LORA",
    r: config.rank,
    rank_pattern: {},
    revision: null,
    target_modules: [...(config.targetModules ?? [])].sort(),
    task_type: "CAUSAL_LM",
    use_dora: false,
    use_rslora: config.useRslora,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}
