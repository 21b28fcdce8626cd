import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "../dtypes.js";
import type { StoredTensor } from "../storedTensor.js";
import { quantizedTypes } from "./quantizedTypes.js";

/** How a type of tensor stores its elements: rows of whole blocks, each of `bytes` bytes for `elements` elements. */
export interface GgmlType {
  readonly code: number;
  readonly elements: number;
  readonly bytes: number;
  /** The narrowest type that holds every decoded value exactly. */
  readonly dtype: StoredTensor["dtype"];
  /** Whole blocks to float32. */
  decode(bytes: Uint8Array<ArrayBuffer>, to: Float32Array): void;
  /** float32, as many as whole blocks hold, to blocks; absent for types that Facet only reads. */
  encode?(values: Float32Array): Uint8Array;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The types that Facet reads and writes; codes are those of ggml.h. */
export const ggmlTypes = {
  F32: {
    code: 0,
    elements: 1,
    bytes: 4,
    dtype: "F32",
    decode: (bytes, to) => to.set(new Float32Array(bytes.buffer)),
    encode: bytesOf,
  },
  F16: {
    code: 1,
    elements: 1,
    bytes: 2,
    dtype: "F16",
    decode: (bytes, to) => float16ToFloat32(new Uint16Array(bytes.buffer), to),
    encode: (values) => bytesOf(float32ToFloat16(values)),
  },
  BF16: {
    code: 30,
    elements: 1,
    bytes: 2,
    dtype: "BF16",
    decode: (bytes, to) => bfloat16ToFloat32(new Uint16Array(bytes.buffer), to),
    encode: (values) => bytesOf(float32ToBfloat16(values)),
  },
  ...quantizedTypes,
} as const satisfies Record<string, GgmlType>;

export type GgmlTypeName = keyof typeof ggmlTypes;

const byCode = new Map<number, GgmlTypeName>(
  Object.entries(ggmlTypes).map(([name, { code }]) => [code, name as GgmlTypeName]),
);

/** Undefined for a code that Facet does not read. */
export const typeOfCode = (code: number): GgmlTypeName | undefined => byCode.get(code);
