import { FacetError } from "../errors.js";
import { hdf5Integer, hdf5Tensor } from "./hdf5/hdf5Tensor.js";
import type { Hdf5DatasetToWrite, Hdf5GroupToWrite } from "./hdf5/layout.js";
import { type Hdf5Dataset, type Hdf5Group, readHdf5 } from "./hdf5/readHdf5.js";
import { writeHdf5 } from "./hdf5/writeHdf5.js";
import { readWhole } from "./storedTensor.js";

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

/**
 * Reads what Keras's `backbone.save_lora_weights` wrote. `layers` is keyed by the layer's index among the
 * backbone's layers with weights. Keras stores no alpha: its scale is 1.
 * Throws FacetError, naming file and dataset, when the file is damaged, lacks a kernel, holds anything else than
 * float32 kernels, or has one that does not fit the rank.
 */
export function readKerasLora(path: string): {
  rank: number;
  layers: Map<number, KerasLoraLayer>;
} {
  const root = readHdf5(path);
  const rank = readRank(path, root);
  const layers = new Map<number, KerasLoraLayer>();
  for (const [key, layer] of groupAt(path, root, "lora").members) {
    if (key === "vars") continue;
    if (!/^(0|[1-9]\d{0,5})$/.test(key)) {
      throw new FacetError(`${path}: lora/${key} is not the index of a layer.`);
    }
    const where = `lora/${key}/vars`;
    const extra = [
      ...(layer.kind === "group"
        ? [...layer.members.keys()].map((name) => `lora/${key}/${name}`)
        : []),
      ...[...groupAt(path, root, where).members.keys()].map((name) => `${where}/${name}`),
    ].find((name) => name !== where && !/\/vars\/lora_kernel_[ab]$/.test(name));
    if (extra !== undefined) {
      throw new FacetError(`${path}: ${extra} is no part of a LoRA adapter.`);
    }
    const a = readKernel(path, root, `${where}/lora_kernel_a`);
    const b = readKernel(path, root, `${where}/lora_kernel_b`);
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

/**
 * Writes what Keras's `backbone.load_lora_weights` reads; `path` must end in `.lora.h5`, as Keras demands. Throws a
 * FacetError for another name.
 */
export function writeKerasLora(
  path: string,
  rank: number,
  layers: ReadonlyMap<number, KerasLoraLayer>,
): void {
  if (!path.endsWith(".lora.h5")) {
    throw new FacetError(
      `${path}: Keras reads adapters only from files whose names end in .lora.h5.`,
    );
  }
  const group = (members: Iterable<readonly [string, Hdf5GroupToWrite | Hdf5DatasetToWrite]>) =>
    ({ kind: "group", members: new Map(members) }) as const;
  const kernel = ({ shape, data }: KerasKernel) =>
    ({ kind: "dataset", type: "F32", shape, data: () => [data] }) as const;
  const integer = new Uint8Array(BigInt64Array.of(BigInt(rank)).buffer);
  const rankData = { kind: "dataset", type: "I64", shape: [], data: () => [integer] } as const;
  const members = [...layers].map(([index, { a, b }]) => {
    const vars = group([
      ["lora_kernel_a", kernel(a)],
      ["lora_kernel_b", kernel(b)],
    ]);
    return [`${index}`, group([["vars", vars]])] as const;
  });
  const lora = group([["vars", group([["rank", rankData]])] as const, ...members]);
  writeHdf5(path, group([["lora", lora]]));
}

function readRank(path: string, root: Hdf5Group): number {
  const rank = hdf5Integer(datasetAt(path, root, "lora/vars/rank"));
  if (rank !== undefined && Number.isSafeInteger(rank) && rank > 0) return rank;
  throw new FacetError(`${path}: lora/vars/rank is not a positive whole number.`);
}

function readKernel(path: string, root: Hdf5Group, name: string): KerasKernel {
  const dataset = datasetAt(path, root, name);
  if (dataset.type !== "F32") {
    throw new FacetError(
      `${path}: ${name} is not little-endian float32. Save the adapter again from a float32 model.`,
    );
  }
  return { shape: dataset.shape, data: readWhole(hdf5Tensor(dataset, name)) };
}

function groupAt(path: string, root: Hdf5Group, name: string): Hdf5Group {
  const found = memberAt(root, name);
  if (found?.kind === "group") return found;
  throw new FacetError(`${path}: the group ${name} is missing.`);
}

function datasetAt(path: string, root: Hdf5Group, name: string): Hdf5Dataset {
  const found = memberAt(root, name);
  if (found?.kind === "dataset") return found;
  throw new FacetError(`${path}: the dataset ${name} is missing.`);
}

function memberAt(root: Hdf5Group, name: string): Hdf5Group | Hdf5Dataset | undefined {
  let found: Hdf5Group | Hdf5Dataset | undefined = root;
  for (const part of name.split("/")) {
    found = found?.kind === "group" ? found.members.get(part) : undefined;
  }
  return found;
}
