import { fstatSync } from "node:fs";
import { resolve } from "node:path";
import { FacetError, unknownName } from "../errors.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "./dtypes.js";
import { readFully, withFile } from "./exactRead.js";
import {
  CHUNK,
  elementCount,
  isIntegers,
  isKeyOf,
  itemBytes,
  type SafetensorsArray,
  STORAGE,
  type TensorInfo,
} from "./safetensorsLayout.js";
import type { StoredTensor } from "./storedTensor.js";
import { decodeUtf8, MAX_JSON, parseStrictJson } from "./strictJson.js";

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

export type { SafetensorsDType, TensorInfo } from "./safetensorsLayout.js";

const widenTo = {
  F32: (part: ArrayBuffer, to: Float32Array) => to.set(new Float32Array(part)),
  F64: (part: ArrayBuffer, to: Float32Array) => to.set(new Float64Array(part)),
  BF16: (part: ArrayBuffer, to: Float32Array) => bfloat16ToFloat32(new Uint16Array(part), to),
  F16: (part: ArrayBuffer, to: Float32Array) => float16ToFloat32(new Uint16Array(part), to),
};

/** A tensor of F32, BF16, F16 or F64 as float32, flat. Throws FacetError for any other dtype. */
export function readFloat32(info: TensorInfo): Float32Array<ArrayBuffer> {
  const dtype = floatType(info);
  const out = new Float32Array(info.byteLength / itemBytes(dtype));
  for (let start = 0; start < out.length; start += CHUNK) {
    readPart(info, dtype, start, out.subarray(start, start + CHUNK));
  }
  return out;
}

/** A tensor of F32, BF16 or F16 to be read a few rows at a time. Throws FacetError for any other dtype. */
export function storedTensor(info: TensorInfo): StoredTensor {
  const dtype = floatType(info);
  if (dtype === "F64") {
    throw new FacetError(`${nameOf(info)} is F64; save it as F32, F16 or BF16.`);
  }
  const { shape } = info;
  const length = info.byteLength / itemBytes(dtype);
  const width = Math.max(1, shape.at(-1) ?? 1);
  const piece = Math.max(1, Math.floor(CHUNK / width)) * width;
  return {
    shape,
    dtype,
    *read() {
      for (let start = 0; start < length; start += piece) {
        const values = new Float32Array(Math.min(piece, length - start));
        readPart(info, dtype, start, values);
        yield values;
      }
    },
  };
}

function floatType(info: TensorInfo): keyof typeof widenTo {
  const { dtype } = info;
  if (isKeyOf(widenTo, dtype)) return dtype;
  throw new FacetError(
    `${nameOf(info)} is ${dtype}, but floating-point numbers are needed (F32, BF16, F16 or F64).`,
  );
}

/** Fills `to` with the elements from `start` on. */
function readPart(
  info: TensorInfo,
  dtype: keyof typeof widenTo,
  start: number,
  to: Float32Array,
): void {
  const size = itemBytes(dtype);
  const bytes = new Uint8Array(to.length * size);
  withFile(info.file, (file) => readFully(file, bytes, info.offset + start * size, nameOf(info)));
  widenTo[dtype](bytes.buffer, to);
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
    if (length > MAX_JSON || length > fileBytes - 8) {
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

function nameOf({ file, name }: { file: string; name: string }): string {
  return `${file}: tensor "${name}"`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
