import { FacetError } from "../errors.js";

/** The array that holds a tensor's elements as the file has them; 8- and 16-bit floats stay codes. */
export const STORAGE = {
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

/** Elements converted at a time, so that no second copy of a large tensor exists. */
export const CHUNK = 1 << 20;

/** Elements of a shape. Throws a FacetError that starts with `where` for what is no shape, or too large. */
export function elementCount(shape: readonly number[], where: string): number {
  const count = shape.reduce((product, size) => product * size, 1);
  if (isIntegers(shape) && Number.isSafeInteger(count * 8)) return count;
  throw new FacetError(`${where}: [${shape}] is not a possible shape.`);
}

export function itemBytes(dtype: SafetensorsDType): number {
  return STORAGE[dtype].BYTES_PER_ELEMENT;
}

export function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

export function isKeyOf<T extends object>(table: T, key: string): key is keyof T & string {
  return Object.hasOwn(table, key);
}
