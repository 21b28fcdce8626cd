import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { FacetError } from "../errors.js";
import { writeFileAtomic, writeFolderAtomic } from "../formats/atomicFile.js";
import type { LoraMatrices } from "../formats/loraMatrices.js";
import { readFloat32, readSafetensorsHeader, type TensorInfo } from "../formats/safetensors.js";
import { writeSafetensors } from "../formats/safetensorsWriting.js";
import { readStrictJson } from "../formats/strictJson.js";
import type { AdapterFile } from "./adapterFile.js";

/**
 * LoRA adapters as mlx-lm has them (mlx_lm/tuner/utils.py, `load_adapters`): `lora_a` [in, rank] and `lora_b` [rank, out], the
 * transposes of PEFT's, one scale and rank for all, in the last `num_layers` blocks.
 */
const CONFIG = "adapter_config.json";
const WEIGHTS = "adapters.safetensors";

const configSchema = z.object({
  fine_tune_type: z.string().default("lora"),
  num_layers: z.int(),
  lora_parameters: z.object({
    rank: z.int().positive(),
    scale: z.number().positive(),
    keys: z.array(z.string()).nullish(),
  }),
  model: z.string().nullish(),
});

/** Whether a folder holds an adapter as mlx-lm writes it. */
export const isMlxAdapter = (folder: string): boolean => existsSync(join(folder, WEIGHTS));

/**
 * Reads an mlx-lm adapter folder. Throws a FacetError, naming file and tensor, for a DoRA or full fine-tune, a matrix
 * without its partner or of another rank than the configuration says, and for any other tensor.
 */
export function readMlxAdapter(folder: string): AdapterFile {
  const root = resolve(folder);
  const parsed = configSchema.safeParse(readStrictJson(join(root, CONFIG)));
  if (!parsed.success) {
    throw new FacetError(`${join(root, CONFIG)}: ${z.prettifyError(parsed.error)}`);
  }
  const { fine_tune_type: type, lora_parameters: lora, model } = parsed.data;
  if (type !== "lora") {
    throw new FacetError(
      `${join(root, CONFIG)}: fine_tune_type is "${type}"; Facet reads MLX adapters of plain LoRA.`,
    );
  }
  const file = join(root, WEIGHTS);
  const matrices = new Map<string, LoraMatrices>();
  for (const [module, { a, b }] of pairs(file, readSafetensorsHeader(file).tensors)) {
    const [inFeatures, rankOfA] = sides(a);
    const [rankOfB, outFeatures] = sides(b);
    if (rankOfA !== lora.rank || rankOfB !== lora.rank) {
      throw new FacetError(
        `${file}: ${module} has lora_a [${a.shape}] and lora_b [${b.shape}]; ${CONFIG} gives it rank ${lora.rank}.`,
      );
    }
    matrices.set(module, {
      a: transposed(readFloat32(a), inFeatures, lora.rank),
      b: transposed(readFloat32(b), lora.rank, outFeatures),
      rank: lora.rank,
      inFeatures,
      outFeatures,
      scale: lora.scale,
    });
  }
  if (matrices.size === 0) throw new FacetError(`${file}: there is no LoRA matrix in it.`);
  return { matrices, baseModel: model ?? undefined };
}

/**
 * Writes an mlx-lm adapter folder. All matrices must have one rank and scale, as `toPeft` gives them. mlx-lm adapts
 * the same layers in every block that it counts from the last one, and takes a layer without matrices as unchanged,
 * so `numLayers` is that of the whole model. An existing folder is replaced as a whole.
 */
export async function writeMlxAdapter(
  folder: string,
  { matrices, baseModel }: AdapterFile,
  numLayers: number,
): Promise<void> {
  const where = `Cannot write the adapter ${resolve(folder)}`;
  const [first] = matrices.values();
  if (first === undefined) throw new FacetError(`${where}: it adapts no layer.`);
  const { rank, scale } = first;
  for (const [module, lora] of matrices) {
    if (lora.rank !== rank || lora.scale !== scale) {
      throw new FacetError(
        `${where}: MLX has one rank and scale for all layers, and ${module} has others (rank ${lora.rank}, scale ${lora.scale}).`,
      );
    }
    if (lora.magnitude !== undefined) {
      throw new FacetError(`${where}: ${module} is DoRA. Export the merged model instead.`);
    }
  }
  const keys = new Set(
    [...matrices.keys()].map((module) => module.replace(/^.*\.layers\.\d+\./, "")),
  );
  const config = {
    fine_tune_type: "lora",
    lora_parameters: { dropout: 0, keys: [...keys].sort(), rank, scale },
    model: baseModel ?? null,
    num_layers: numLayers,
  };
  await writeFolderAtomic(folder, (place) => {
    writeFileAtomic(join(place, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
    const tensors = [...matrices].flatMap(([module, lora]) => [
      {
        name: `${module}.lora_a`,
        dtype: "F32" as const,
        shape: [lora.inFeatures, rank],
        data: transposed(lora.a, rank, lora.inFeatures),
      },
      {
        name: `${module}.lora_b`,
        dtype: "F32" as const,
        shape: [rank, lora.outFeatures],
        data: transposed(lora.b, lora.outFeatures, rank),
      },
    ]);
    writeSafetensors(join(place, WEIGHTS), tensors);
  });
}

function pairs(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
): Map<string, { a: TensorInfo; b: TensorInfo }> {
  const found = new Map<string, { a: TensorInfo; b: TensorInfo }>();
  for (const name of tensors.keys()) {
    const [, module, matrix] = /^(.+)\.lora_([ab])$/.exec(name) ?? [];
    if (module === undefined) {
      throw new FacetError(
        `${file}: tensor "${name}" cannot be used: it is not "<module>.lora_a" or ".lora_b".`,
      );
    }
    const [a, b] = [tensors.get(`${module}.lora_a`), tensors.get(`${module}.lora_b`)];
    if (a === undefined || b === undefined) {
      const missing = matrix === "a" ? "b" : "a";
      throw new FacetError(`${file}: ${module} has lora_${matrix} but no lora_${missing}.`);
    }
    found.set(module, { a, b });
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
