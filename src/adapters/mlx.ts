import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { readFloat32, readSafetensorsHeader, type TensorInfo } from "../formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensorsWriting.js";
import { readStrictJson } from "../formats/strictJson.js";
import { canonical } from "../lora/canonical.js";
import type { LinearModule } from "../nn/linear.js";
import { isString, listOf } from "../validation.js";
import type { AdapterFile } from "./adapterFile.js";
import { bindAdapter, requireComplete } from "./bind.js";

/**
 * Adapters as mlx-lm has them (mlx_lm/tuner/utils.py, `load_adapters`, and lora.py, dora.py): `lora_a` [in, rank] and
 * `lora_b` [rank, out], the transposes of PEFT's, one scale and rank for all, in the last `num_layers` blocks; for DoRA
 * also `m` [out]. `lora_parameters.keys` are paths inside a block; without them every linear layer is adapted.
 */
const CONFIG = "adapter_config.json";
const WEIGHTS = "adapters.safetensors";

const configSchema = z.object({
  fine_tune_type: z.string().default("lora"),
  num_layers: z.int(),
  // Strict: older versions had an `alpha` here that changed the scale.
  lora_parameters: z.strictObject({
    rank: z.int().positive(),
    scale: z.number().positive(),
    dropout: z.number().optional(),
    keys: listOf(isString, "expected a list of names").nullish(),
  }),
  model: z.string().nullish(),
});

type MlxConfig = z.output<typeof configSchema>;

/** Whether a folder holds an adapter as mlx-lm writes it. */
export const isMlxAdapter = (folder: string): boolean => existsSync(join(folder, WEIGHTS));

/**
 * Reads an mlx-lm adapter folder, of LoRA or DoRA. With the `modules` of the base model, every matrix must bind to one of
 * them that the configuration adapts, and each of these must have its matrices. Throws a FacetError, naming file and
 * tensor, for a full fine-tune, a matrix without its partner or of another rank than the configuration says, and any
 * other tensor.
 */
export function readMlxAdapter(folder: string, modules?: readonly LinearModule[]): AdapterFile {
  const root = resolve(folder);
  const config = readConfig(join(root, CONFIG));
  const { rank, scale } = config.lora_parameters;
  const dora = config.fine_tune_type === "dora";
  const file = join(root, WEIGHTS);
  const matrices = new Map<string, LoraMatrices>();
  for (const [module, { a, b, m }] of groups(file, readSafetensorsHeader(file).tensors, dora)) {
    const [inFeatures, rankOfA] = sides(a);
    const [rankOfB, outFeatures] = sides(b);
    if (rankOfA !== rank || rankOfB !== rank) {
      throw new FacetError(
        `${file}: ${module} has lora_a [${a.shape}] and lora_b [${b.shape}]; ${CONFIG} gives it rank ${rank}.`,
      );
    }
    if (m !== undefined && m.shape.join() !== `${outFeatures}`) {
      throw new FacetError(`${file}: ${module} has m [${m.shape}], not [${outFeatures}].`);
    }
    matrices.set(module, {
      a: transposed(readFloat32(a), inFeatures, rank),
      b: transposed(readFloat32(b), rank, outFeatures),
      ...{ rank, inFeatures, outFeatures, scale },
      ...(m && { magnitude: readFloat32(m) }),
    });
  }
  if (matrices.size === 0) throw new FacetError(`${file}: there is no LoRA matrix in it.`);
  const adapter = { matrices, baseModel: config.model ?? undefined };
  return modules === undefined ? adapter : bound(adapter, config, modules, root);
}

function readConfig(path: string): MlxConfig {
  const parsed = configSchema.safeParse(readStrictJson(path));
  if (!parsed.success) throw new FacetError(`${path}: ${z.prettifyError(parsed.error)}`);
  const type = parsed.data.fine_tune_type;
  if (type !== "lora" && type !== "dora") {
    throw new FacetError(
      `${path}: fine_tune_type is "${type}"; Facet reads MLX adapters of LoRA and DoRA.`,
    );
  }
  return parsed.data;
}

function bound(
  adapter: AdapterFile,
  { num_layers: numLayers, lora_parameters: { keys } }: MlxConfig,
  modules: readonly LinearModule[],
  where: string,
): AdapterFile {
  const total = 1 + Math.max(...modules.map(({ layer }) => layer));
  // mlx-lm takes 0 and less for all.
  const first = numLayers <= 0 ? 0 : total - numLayers;
  const adapted = modules.filter(
    ({ path, layer }) =>
      layer >= first && (keys == null || keys.includes(path.replace(/^.*\.layers\.\d+\./, ""))),
  );
  const file = bindAdapter(adapter, modules, where);
  const says = `${CONFIG} adapts ${keys?.join(", ") ?? "every linear layer"} of the last ${total - first} of ${total} blocks`;
  const paths = new Set(adapted.map(({ path }) => path));
  for (const path of file.matrices.keys()) {
    if (!paths.has(path)) throw new FacetError(`${where} has matrices for ${path}, but ${says}.`);
  }
  requireComplete(file, adapted, where, says);
  return file;
}

/**
 * Writes an mlx-lm adapter folder. MLX has one rank and scale for all layers: where the matrices have several, they get
 * the form of `canonical`. mlx-lm counts the adapted blocks from the last one, of the model's `numLayers`, and adapts
 * the same layers in each; those that have no matrices get zeros. An existing folder is replaced as a whole. Throws a
 * FacetError for an adapter that is DoRA in some layers only.
 */
export async function writeMlxAdapter(
  folder: string,
  { matrices, baseModel }: AdapterFile,
  numLayers: number,
): Promise<void> {
  const where = `Cannot write the adapter ${resolve(folder)}`;
  const [first, ...others] = matrices.values();
  if (first === undefined) throw new FacetError(`${where}: it adapts no layer.`);
  const dora = first.magnitude !== undefined;
  if (others.some(({ magnitude }) => (magnitude !== undefined) !== dora)) {
    throw new FacetError(
      `${where}: it is DoRA in some layers only. Export the merged model instead.`,
    );
  }
  const uniform = others.every(({ rank, scale }) => rank === first.rank && scale === first.scale);
  const alike = uniform ? matrices : canonical(matrices).matrices;
  const places = [...alike].map(([path, lora]) => ({ ...placeOf(path, where), lora }));
  const beyond = places.find(({ layer }) => layer >= numLayers);
  if (beyond !== undefined) {
    throw new FacetError(
      `${where}: the model has ${numLayers} blocks, and the adapter has ${beyond.prefix}.${beyond.layer}.`,
    );
  }
  const start = Math.min(...places.map(({ layer }) => layer));
  const byKey = new Map(places.map((place) => [place.key, place]));
  const [{ rank, scale }] = [...alike.values()] as [LoraMatrices];
  const config = {
    fine_tune_type: dora ? "dora" : "lora",
    lora_parameters: { dropout: 0, keys: [...byKey.keys()].sort(), rank, scale },
    model: baseModel ?? null,
    num_layers: numLayers - start,
  };
  const tensors: TensorToWrite[] = [];
  for (let layer = start; layer < numLayers; layer++) {
    for (const [key, { prefix, lora: like }] of byKey) {
      const there = alike.get(`${prefix}.${layer}.${key}`);
      if (there === undefined && dora) {
        throw new FacetError(
          `${where}: MLX adapts the same layers of every block, and ${key} of block ${layer} has no magnitudes. Export the merged model instead.`,
        );
      }
      tensors.push(...tensorsOf(`${mlxPrefix(prefix)}.${layer}.${key}`, there ?? zerosLike(like)));
    }
  }
  await writeFolderAtomic(folder, (place) => {
    writeFileAtomic(join(place, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
    writeSafetensors(join(place, WEIGHTS), tensors);
  });
}

/** A module's path, `model.layers.3.mlp.up_proj`, in parts: `model.layers`, 3, `mlp.up_proj`. */
function placeOf(path: string, where: string): { prefix: string; layer: number; key: string } {
  const [, prefix, layer, key] = /^(.+\.layers)\.(\d+)\.(.+)$/.exec(path) ?? [];
  if (prefix === undefined) throw new FacetError(`${where}: ${path} is in no block.`);
  return { prefix, layer: Number(layer), key: key! };
}

/** mlx-lm has the text part of a multimodal model under another path than Transformers. */
const mlxPrefix = (prefix: string) =>
  prefix === "model.language_model.layers" ? "language_model.model.layers" : prefix;

const zerosLike = (lora: LoraMatrices): LoraMatrices => ({
  ...lora,
  a: new Float32Array(lora.a.length),
  b: new Float32Array(lora.b.length),
});

function tensorsOf(module: string, lora: LoraMatrices): TensorToWrite[] {
  const { a, b, magnitude, rank, inFeatures, outFeatures } = lora;
  const tensor = (name: string, shape: number[], data: Float32Array): TensorToWrite => ({
    ...{ name: `${module}.${name}`, dtype: "F32", shape, data },
  });
  return [
    tensor("lora_a", [inFeatures, rank], transposed(a, rank, inFeatures)),
    tensor("lora_b", [rank, outFeatures], transposed(b, outFeatures, rank)),
    ...(magnitude ? [tensor("m", [outFeatures], magnitude)] : []),
  ];
}

interface ModuleTensors {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly m: TensorInfo | undefined;
}

function groups(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  dora: boolean,
): Map<string, ModuleTensors> {
  const parts = dora ? ["lora_a", "lora_b", "m"] : ["lora_a", "lora_b"];
  const found = new Map<string, ModuleTensors>();
  for (const name of tensors.keys()) {
    const [, module, part] = /^(.+)\.(\w+)$/.exec(name) ?? [];
    if (module === undefined || !parts.includes(part!)) {
      throw new FacetError(
        `${file}: tensor "${name}" cannot be used: it is not "<module>." and one of ${parts.join(", ")}.`,
      );
    }
    const missing = parts.find((other) => !tensors.has(`${module}.${other}`));
    if (missing !== undefined) {
      throw new FacetError(`${file}: ${module} has ${part} but no ${missing}.`);
    }
    const [a, b, m] = parts.map((other) => tensors.get(`${module}.${other}`));
    found.set(module, { a: a!, b: b!, m });
  }
  return found;
}

function sides({ file, name, shape }: TensorInfo): readonly [number, number] {
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new FacetError(`${file}: tensor "${name}" is [${shape}], not a matrix.`);
  }
  return [rows, columns];
}

/** A row-major matrix [rows, columns] as [columns, rows]. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column]!;
    }
  }
  return result;
}
