import { FacetError } from "../errors.js";
import { type Hdf5File, withHdf5 } from "./hdf5.js";

/** One variable of a Keras layer, row-major. */
export interface KerasKernel {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Keras's adapter of an EinsumDense kernel: ΔK = a·b over the rank, the last axis of `a`, the first of `b`. */
export interface KerasLoraLayer {
  /** `lora_kernel_a`, [...kernel shape without its last axis, rank]; for Gemma's query [heads, hidden, rank]. */
  readonly a: KerasKernel;
  /** `lora_kernel_b`, [rank, last axis of the kernel]; for Gemma's query [rank, head_dim]. */
  readonly b: KerasKernel;
}

/** HDF5's numbers of its type classes (H5Tpublic.h). */
const H5T_INTEGER = 0;
const H5T_FLOAT = 1;

/**
 * Reads what Keras's `backbone.save_lora_weights` wrote. `layers` is keyed by the layer's index among the
 * backbone's layers with weights (see `gemmaLoraIndex`). Keras stores no alpha: its scale is 1.
 * Throws FacetError, naming file and dataset, when the file is damaged, lacks a kernel, holds anything else than
 * float32 kernels, or has one that does not fit the rank.
 */
export function readKerasLora(path: string): Promise<{
  rank: number;
  layers: Map<number, KerasLoraLayer>;
}> {
  return withHdf5(path, readAdapter);
}

/**
 * The index that KerasHub gives the query or value projection of Gemma 1's decoder block `layer` in a
 * `.lora.h5` file: blocks are 11 layers with weights apart, the value is the 9th of the first, the query the 11th.
 */
export function gemmaLoraIndex(projection: "query" | "value", layer: number): number {
  return (projection === "value" ? 8 : 10) + 11 * layer;
}

function readAdapter(file: Hdf5File): { rank: number; layers: Map<number, KerasLoraLayer> } {
  const { path } = file;
  const rank = readRank(file);
  const layers = new Map<number, KerasLoraLayer>();
  for (const key of file.group("lora").keys()) {
    if (key === "vars") continue;
    if (!/^(0|[1-9]\d{0,5})$/.test(key)) {
      throw new FacetError(`${path}: lora/${key} is not the index of a layer.`);
    }
    const where = `lora/${key}/vars`;
    const extra = file
      .group(where)
      .keys()
      .filter((name) => name !== "lora_kernel_a" && name !== "lora_kernel_b");
    if (extra.length > 0) {
      throw new FacetError(`${path}: ${where}/${extra[0]} is no part of a LoRA adapter.`);
    }
    const a = readKernel(file, `${where}/lora_kernel_a`);
    const b = readKernel(file, `${where}/lora_kernel_b`);
    if (a.shape.length < 2 || a.shape.at(-1) !== rank) {
      throw new FacetError(
        `${path}: ${where}/lora_kernel_a is [${a.shape}], but its last axis should be the rank, ${rank}.`,
      );
    }
    if (b.shape.length !== 2 || b.shape[0] !== rank) {
      throw new FacetError(
        `${path}: ${where}/lora_kernel_b is [${b.shape}], but should be [${rank}, features].`,
      );
    }
    layers.set(Number(key), { a, b });
  }
  if (layers.size === 0) throw new FacetError(`${path}: no layer in it has an adapter.`);
  return { rank, layers };
}

function readRank(file: Hdf5File): number {
  const dataset = file.dataset("lora/vars/rank");
  const { type, shape, size } = dataset.metadata;
  const value = type === H5T_INTEGER && shape?.length === 0 && size <= 8 ? dataset.value : null;
  const rank = Number(value);
  if (value === null || !Number.isSafeInteger(rank) || rank < 1) {
    throw new FacetError(`${file.path}: lora/vars/rank is not a positive whole number.`);
  }
  return rank;
}

function readKernel(file: Hdf5File, name: string): KerasKernel {
  const { path, bytes } = file;
  const dataset = file.dataset(name);
  const { type, size, littleEndian, shape, total_size: elements } = dataset.metadata;
  if (type !== H5T_FLOAT || size !== 4 || !littleEndian || shape === null) {
    throw new FacetError(
      `${path}: ${name} is not little-endian float32. Save the adapter again from a float32 model.`,
    );
  }
  // Keras does not compress, so more data than the file has bytes means a damaged header.
  if (!(elements * size <= bytes)) {
    throw new FacetError(
      `${path}: ${name} is [${shape}], more than a file of ${bytes} bytes holds. The file is damaged.`,
    );
  }
  const data = dataset.value;
  if (!(data instanceof Float32Array)) throw new FacetError(`${path}: ${name} has no data.`);
  return { shape, data };
}
