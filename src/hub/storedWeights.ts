import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { FacetError } from "../errors.js";
import { cleanTemporaries } from "../formats/atomicFile.js";
import {
  bitsOfBlocks,
  canQuantize,
  type QuantizedBits,
  quantize,
  quantizedBytes,
  quantizedTensor,
  repack,
} from "../formats/quantizedTensor.js";
import { readSafetensorsHeader, storedTensor } from "../formats/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensorsWriting.js";
import type { StoredTensor } from "../formats/storedTensor.js";
import type { FrozenWeight } from "../models/gemma/model.js";
import { gemmaWeightSpecs } from "../models/gemma/weights.js";
import type { DownloadHooks } from "./download.js";
import type { OpenModel } from "./openModel.js";
import { assets, facetHome } from "./places.js";
import type { WeightType } from "./weightTypes.js";

/** Written anew when the layout of the files changes. */
const layoutVersion = 1;
const bitsOf = { int8: 8, int4: 4 } as const;

type Tensors = ReadonlyMap<string, StoredTensor>;
type Stored = Exclude<WeightType, "auto">;

/**
 * A model's weights in another type than its files have. They are written on the first use, to one file in `.facet` beside
 * the model, or in the user's cache where the model's folder cannot be written, and are mapped from then on. The file is
 * made anew when a file of the model has changed. `source` has the tensors where the model was a GGUF file: blocks of the
 * type that is asked for are taken as they are.
 */
export async function storedWeights(
  model: OpenModel,
  type: Stored,
  { source, onNotice }: Pick<DownloadHooks, "onNotice"> & { readonly source?: Tensors | undefined },
): Promise<ReadonlyMap<string, FrozenWeight>> {
  const file = `${type}-${identity(model)}.safetensors`;
  const places = cachePlaces(model);
  const found = places.map((place) => join(place, file)).find((path) => existsSync(path));
  const known = found === undefined ? undefined : openStored(found, model);
  if (known !== undefined) return known;

  onNotice?.(`Storing the weights of ${model.name} as ${type}, once.`);
  const place = writablePlace(places);
  cleanTemporaries(place);
  const tensors =
    source ?? new Map([...model.weights].map(([name, info]) => [name, storedTensor(info)]));
  const path = join(place, file);
  writeSafetensors(path, tensorsAs(tensors, type, model), { weights: type });
  for (const name of readdirSync(place)) {
    if (name.startsWith(`${type}-`) && name !== file) rmSync(join(place, name));
  }
  const written = openStored(path, model);
  if (written === undefined) throw new Error(`${path} was written, but cannot be read`);
  return written;
}

/** Of a model's files: to digest all of their bytes at every start would take too long. */
function identity({ weights }: OpenModel): string {
  const files = [...new Set([...weights.values()].map(({ file }) => file))].sort();
  const facts = files.map((file) => {
    const { size, mtimeMs, ctimeMs, ino } = statSync(file);
    return [basename(file), size, mtimeMs, ctimeMs, ino];
  });
  return digest([layoutVersion, facts]);
}

const digest = (value: unknown) =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);

/** Facet's own files are not for writing beside, even where that is possible. */
function cachePlaces({ folder }: OpenModel): string[] {
  const inHome = join(facetHome(), "weights", `${basename(folder)}-${digest(folder)}`);
  return folder.startsWith(assets) ? [inHome] : [join(folder, ".facet"), inHome];
}

function writablePlace(places: readonly string[]): string {
  for (const [i, place] of places.entries()) {
    try {
      mkdirSync(place, { recursive: true });
      return place;
    } catch (error) {
      if (i < places.length - 1) continue;
      throw new FacetError(
        `Cannot make the folder ${place}: ${(error as Error).message}. Choose another place with FACET_HOME.`,
      );
    }
  }
  throw new Error("there is no place for weights");
}

function tensorsAs(tensors: Tensors, type: Stored, { name }: OpenModel): TensorToWrite[] {
  const keepsBlocks = isStoredAs(tensors, type);
  return [...tensors].map(([tensorName, tensor]) => {
    const { shape } = tensor;
    const bits = type === "int8" || type === "int4" ? bitsOf[type] : undefined;
    if (bits === undefined || !canQuantize(shape)) {
      const dtype = type === "bf16" ? "BF16" : "F32";
      return { name: tensorName, dtype, shape, data: tensor.read };
    }
    const blocks = keepsBlocks ? tensor.blocks : undefined;
    const kept: QuantizedBits = blocks === undefined ? bits : bitsOfBlocks[blocks.type];
    const data = () =>
      blocks === undefined
        ? quantize(tensor, bits, `${name}: tensor "${tensorName}"`)
        : repack(blocks, shape);
    return { name: tensorName, dtype: "U8", shape: [quantizedBytes(shape, kept)], data };
  });
}

/** Whether the layers of a GGUF file are in blocks of this type. Then its embedding is taken as it is too, be it wider. */
function isStoredAs(tensors: Tensors, type: Stored): boolean {
  const layers = [...tensors.values()].slice(1).filter(({ shape }) => canQuantize(shape));
  const wanted = { int8: "Q8_0", int4: "Q4_0", f32: undefined, bf16: undefined }[type];
  return wanted !== undefined && layers.every(({ blocks }) => blocks?.type === wanted);
}

/** Undefined for a file that is damaged or is not this model's: it is written again. */
function openStored(
  path: string,
  { config }: OpenModel,
): ReadonlyMap<string, FrozenWeight> | undefined {
  try {
    const { tensors } = readSafetensorsHeader(path);
    const weights = new Map<string, FrozenWeight>();
    for (const { name, shape } of gemmaWeightSpecs(config)) {
      const info = tensors.get(name);
      const isWhole = info?.shape.join() === shape.join();
      const weight =
        isWhole || info === undefined || !canQuantize(shape) ? info : quantizedTensor(info, shape);
      if (weight === undefined) return undefined;
      weights.set(name, weight);
    }
    return weights.size === tensors.size ? weights : undefined;
  } catch (error) {
    if (error instanceof FacetError) return undefined;
    throw error;
  }
}
