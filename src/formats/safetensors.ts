import { fstatSync } from "node:fs";
import { resolve } from "node:path";
import { FacetError, unknownName } from "../errors.js";
import { writeFileAtomic } from "./atomicFile.js";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "./dtypes.js";
import { readFully, withFile } from "./exactRead.js";
import { decodeUtf8, parseStrictJson } from "./strictJson.js";

/** The array that holds a tensor's elements as the file has them; 8- and 16-bit floats stay codes. */
const STORAGE = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;

export type SafetensorsDType = keyof typeof STORAGE;
export type SafetensorsArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** Where a tensor lies: row-major, little-endian, `byteLength` bytes from `offset` of `file` on. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Absolute path. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/**
 * A tensor to write. `data` is what `readTensor` returns for the dtype, or, for BF16 and F16, float32 values
 * to be rounded. As a function it is called when its turn comes, so that only one tensor need exist at a time.
 */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly data: SafetensorsArray | (() => SafetensorsArray);
}

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
/** Elements converted at a time, so that no second copy of a large tensor exists. */
const CHUNK = 1 << 20;

/**
 * Reads and checks the header of a safetensors file; the tensors' bytes stay on the disk.
 * Throws FacetError, naming the file and the tensor, unless the tensors cover the data exactly:
 * each as long as its shape and dtype say, without an overlap or a hole, to the last byte of the file.
 */
export function readSafetensorsHeader(path: string): {
  metadata: Record<string, string>;
  tensors: Map<string, TensorInfo>;
} {
  const file = resolve(path);
  const { json, dataStart, fileBytes } = readHeaderText(file);
  const header = parseStrictJson(json, file);
  if (!isRecord(header)) throw new FacetError(`${file}: the header is not a JSON object.`);
  let metadata: Record<string, string> = {};
  const tensors: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__") tensors.push(parseEntry(file, name, entry, dataStart));
    else metadata = parseMetadata(file, entry);
  }
  checkCoverage(file, tensors, dataStart, fileBytes);
  return { metadata, tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])) };
}

/** A tensor's elements as the file has them (see STORAGE), flat. Throws FacetError on a truncated file. */
export function readTensor(info: TensorInfo): SafetensorsArray {
  const bytes = new Uint8Array(info.byteLength);
  withFile(info.file, (file) => readFully(file, bytes, info.offset, nameOf(info)));
  return new STORAGE[info.dtype](bytes.buffer);
}

/** A tensor of F32, BF16, F16 or F64 as float32, flat. Throws FacetError for any other dtype. */
export function readFloat32(info: TensorInfo): Float32Array<ArrayBuffer> {
  const widen = {
    F32: (part: ArrayBuffer, to: Float32Array) => to.set(new Float32Array(part)),
    F64: (part: ArrayBuffer, to: Float32Array) => to.set(new Float64Array(part)),
    BF16: (part: ArrayBuffer, to: Float32Array) => bfloat16ToFloat32(new Uint16Array(part), to),
    F16: (part: ArrayBuffer, to: Float32Array) => float16ToFloat32(new Uint16Array(part), to),
  };
  const { dtype } = info;
  if (!isKeyOf(widen, dtype)) {
    throw new FacetError(
      `${nameOf(info)} is ${dtype}, but floating-point numbers are needed (F32, BF16, F16 or F64).`,
    );
  }
  const out = new Float32Array(info.byteLength / itemBytes(dtype));
  withFile(info.file, (file) => {
    for (let start = 0; start < out.length; start += CHUNK) {
      const to = out.subarray(start, start + CHUNK);
      const bytes = new Uint8Array(to.length * itemBytes(dtype));
      readFully(file, bytes, info.offset + start * itemBytes(dtype), nameOf(info));
      widen[dtype](bytes.buffer, to);
    }
  });
  return out;
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
    const array = typeof data === "function" ? data() : data;
    const where = `Cannot write ${path}: tensor "${name}"`;
    if (array.length !== elementCount(shape, where)) {
      throw new FacetError(`${where} has ${array.length} elements, not those of [${shape}].`);
    }
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
}

function readHeaderText(file: string): { json: string; dataStart: number; fileBytes: number } {
  return withFile(file, (handle) => {
    const fileBytes = fstatSync(handle).size;
    if (fileBytes < 8) {
      throw new FacetError(`${file}: ${fileBytes} bytes are too few for a safetensors file.`);
    }
    const lead = new Uint8Array(8);
    readFully(handle, lead, 0, `${file}: the header`);
    const length = new DataView(lead.buffer).getBigUint64(0, true);
    if (length > MAX_HEADER_BYTES || length > fileBytes - 8) {
      throw new FacetError(
        `${file}: the header should be ${length} bytes long, in a file of ${fileBytes}. The file is truncated or not safetensors; get it again.`,
      );
    }
    const bytes = new Uint8Array(Number(length));
    readFully(handle, bytes, 8, `${file}: the header`);
    if (bytes[0] !== 0x7b) throw new FacetError(`${file}: the header does not begin with "{".`);
    return { json: decodeUtf8(bytes, file), dataStart: 8 + bytes.length, fileBytes };
  });
}

function parseMetadata(file: string, entry: unknown): Record<string, string> {
  if (isRecord(entry) && Object.values(entry).every((value) => typeof value === "string")) {
    return entry as Record<string, string>;
  }
  throw new FacetError(`${file}: __metadata__ is not an object of strings.`);
}

function parseEntry(file: string, name: string, entry: unknown, dataStart: number): TensorInfo {
  const where = nameOf({ file, name });
  if (!isRecord(entry)) throw new FacetError(`${where}: its header entry is not an object.`);
  const { dtype, shape, data_offsets: offsets, ...rest } = entry;
  for (const key of Object.keys(rest)) {
    throw unknownName(`field of ${where}`, key, ["dtype", "shape", "data_offsets"]);
  }
  if (typeof dtype !== "string") throw new FacetError(`${where}: dtype is missing.`);
  if (!isKeyOf(STORAGE, dtype)) {
    throw unknownName(`dtype of ${where}`, dtype, Object.keys(STORAGE));
  }
  const [begin, end] = isIntegers(offsets) && offsets.length === 2 ? offsets : [];
  if (begin === undefined || end === undefined || begin > end) {
    throw new FacetError(`${where}: data_offsets are not two ascending integers.`);
  }
  if (!isIntegers(shape)) throw new FacetError(`${where}: shape is not a list of sizes.`);
  const byteLength = elementCount(shape, where) * itemBytes(dtype);
  if (end - begin !== byteLength) {
    throw new FacetError(
      `${where}: ${dtype} [${shape}] takes ${byteLength} bytes, but data_offsets give it ${end - begin}.`,
    );
  }
  return { name, dtype, shape, file, offset: dataStart + begin, byteLength };
}

function checkCoverage(
  file: string,
  tensors: readonly TensorInfo[],
  dataStart: number,
  fileBytes: number,
): void {
  let end = dataStart;
  const byPlace = [...tensors].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  for (const { name, offset, byteLength } of byPlace) {
    if (offset !== end) {
      const what = offset < end ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new FacetError(
        `${file}: tensor "${name}" begins at byte ${offset}, not ${end}: it ${what}.`,
      );
    }
    end += byteLength;
    if (end > fileBytes) {
      throw new FacetError(
        `${file}: tensor "${name}" ends at byte ${end}, but the file has ${fileBytes}. It is truncated; get it again.`,
      );
    }
  }
  if (end !== fileBytes) {
    throw new FacetError(`${file}: ${fileBytes - end} bytes after the last tensor belong to none.`);
  }
}

function elementCount(shape: readonly number[], where: string): number {
  const count = shape.reduce((product, size) => product * size, 1);
  if (isIntegers(shape) && Number.isSafeInteger(count * 8)) return count;
  throw new FacetError(`${where}: [${shape}] is not a possible shape.`);
}

function nameOf({ file, name }: { file: string; name: string }): string {
  return `${file}: tensor "${name}"`;
}

function itemBytes(dtype: SafetensorsDType): number {
  return STORAGE[dtype].BYTES_PER_ELEMENT;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function isKeyOf<T extends object>(table: T, key: string): key is keyof T & string {
  return Object.hasOwn(table, key);
}
