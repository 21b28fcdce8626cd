import { FacetError } from "../errors.js";
import { writeFileAtomic } from "./atomicFile.js";
import { float32ToBfloat16, float32ToFloat16 } from "./dtypes.js";
import {
  CHUNK,
  elementCount,
  itemBytes,
  type SafetensorsArray,
  type SafetensorsDType,
  STORAGE,
} from "./safetensorsLayout.js";

/**
 * A tensor to write. `data` is what `readTensor` returns for the dtype, or, for BF16 and F16, float32 values
 * to be rounded. As a function it is called when its turn comes, so that only one tensor need exist at a time; it may
 * give the data in pieces.
 */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly data: SafetensorsArray | (() => SafetensorsArray | Iterable<SafetensorsArray>);
}

/**
 * Writes a safetensors file whole or not at all. Tensors lie in the order of the reference writer, wide elements
 * first and then by name, so every one is aligned; data begins on a multiple of 8.
 * `metadata` gets `format: "pt"`, which Hugging Face loaders ask for, unless it says otherwise.
 * Throws FacetError when a name occurs twice or data does not fit its dtype and shape; nothing is written then.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const ordered = [...tensors].sort(
    (a, b) =>
      itemBytes(b.dtype) - itemBytes(a.dtype) || (a.name < b.name ? -1 : Number(a.name > b.name)),
  );
  const header = new Map<string, unknown>([["__metadata__", { format: "pt", ...metadata }]]);
  let end = 0;
  for (const { name, dtype, shape } of ordered) {
    if (header.has(name)) {
      throw new FacetError(`Cannot write ${path}: the tensor name "${name}" is taken already.`);
    }
    const begin = end;
    end += elementCount(shape, `Cannot write ${path}: tensor "${name}"`) * itemBytes(dtype);
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  // Object.fromEntries would reorder names that look like numbers; order does not matter to readers.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const start = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  start.set(json, 8);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  writeFileAtomic(path, fileBytes(path, start, ordered));
}

function* fileBytes(
  path: string,
  start: Uint8Array,
  tensors: readonly TensorToWrite[],
): Iterable<Uint8Array> {
  yield start;
  for (const { name, dtype, shape, data } of tensors) {
    const given = typeof data === "function" ? data() : data;
    const where = `Cannot write ${path}: tensor "${name}"`;
    let length = 0;
    for (const array of ArrayBuffer.isView(given) ? [given] : given) {
      length += array.length;
      yield* storedBytes(dtype, array, where);
    }
    if (length !== elementCount(shape, where)) {
      throw new FacetError(`${where} has ${length} elements, not those of [${shape}].`);
    }
  }
}

/** An array's elements as a tensor of that dtype has them. */
function* storedBytes(
  dtype: SafetensorsDType,
  array: SafetensorsArray,
  where: string,
): Iterable<Uint8Array> {
  const narrow =
    dtype === "BF16" ? float32ToBfloat16 : dtype === "F16" ? float32ToFloat16 : undefined;
  if (array instanceof STORAGE[dtype]) {
    yield new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  } else if (narrow !== undefined && array instanceof Float32Array) {
    for (let i = 0; i < array.length; i += CHUNK) {
      yield new Uint8Array(narrow(array.subarray(i, i + CHUNK)).buffer);
    }
  } else {
    throw new FacetError(`${where} is ${dtype}, which a ${array.constructor.name} cannot hold.`);
  }
}
