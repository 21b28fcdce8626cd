import { FacetError } from "../../errors.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "../dtypes.js";
import { readFully, withFile } from "../exactRead.js";
import type { StoredTensor } from "../storedTensor.js";
import type { Hdf5Dataset } from "./readHdf5.js";

/** Elements converted at a time. */
const PIECE = 1 << 20;

const widen = {
  F32: (part: ArrayBuffer) => new Float32Array(part),
  BF16: (part: ArrayBuffer) => bfloat16ToFloat32(new Uint16Array(part)),
  F16: (part: ArrayBuffer) => float16ToFloat32(new Uint16Array(part)),
};

/** A dataset of floating-point numbers, to be read a few rows at a time. Throws a FacetError, with `name`, for others. */
export function hdf5Tensor(dataset: Hdf5Dataset, name: string): StoredTensor {
  const { file, shape, type, offset, byteLength } = dataset;
  if (type !== "F32" && type !== "F16" && type !== "BF16") {
    throw new FacetError(`${file}: ${name} is ${type}; weights are F32, F16 or BF16.`);
  }
  const itemBytes = type === "F32" ? 4 : 2;
  const length = byteLength / itemBytes;
  const width = Math.max(1, shape.at(-1) ?? 1);
  const piece = Math.max(1, Math.floor(PIECE / width)) * width;
  return {
    shape,
    dtype: type,
    *read() {
      for (let start = 0; start < length; start += piece) {
        const bytes = new Uint8Array(Math.min(piece, length - start) * itemBytes);
        const from = offset + start * itemBytes;
        withFile(file, (handle) => readFully(handle, bytes, from, `${file}: ${name}`));
        yield widen[type](bytes.buffer);
      }
    },
  };
}

/** The one whole number of a dataset without axes; undefined when it is something else. */
export function hdf5Integer({ file, shape, type, offset }: Hdf5Dataset): number | undefined {
  if (shape.length > 0 || (type !== "I64" && type !== "I32")) return undefined;
  const view = new DataView(new ArrayBuffer(type === "I64" ? 8 : 4));
  withFile(file, (handle) => readFully(handle, new Uint8Array(view.buffer), offset, file));
  return type === "I64" ? Number(view.getBigInt64(0, true)) : view.getInt32(0, true);
}
