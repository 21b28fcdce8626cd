import { FacetError } from "../../errors.js";

/**
 * What GGUF's header holds besides tensors: named values, each with its type
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 */

/** The types in the order of their codes, from 0 on. */
export const valueTypes = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;

export type GgufType = (typeof valueTypes)[number];
export type GgufScalarType = Exclude<GgufType, "array">;

/** 64-bit integers are bigint, other numbers number. */
export type GgufScalar = number | bigint | boolean | string;

export type GgufValue =
  | { readonly type: GgufScalarType; readonly value: GgufScalar }
  | {
      readonly type: "array";
      readonly of: GgufScalarType;
      readonly value: readonly GgufScalar[];
    };

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Bytes of a value; of a string, those of its length, which stand before it. */
export const valueBytes: Readonly<Record<GgufScalarType, number>> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  string: 8,
  uint64: 8,
  int64: 8,
  float64: 8,
};

export const u32 = (value: number): GgufValue => ({ type: "uint32", value });
export const f32 = (value: number): GgufValue => ({ type: "float32", value });
export const text = (value: string): GgufValue => ({ type: "string", value });

/**
 * What every tensor's offset is a multiple of, in bytes; 32 where the metadata does not say.
 * Throws a FacetError, beginning with `where`, for what is no alignment.
 */
export function alignmentOf(metadata: GgufMetadata, where: string): number {
  const value = metadata.get("general.alignment")?.value ?? 32;
  const possible = typeof value === "number" && value >= 8 && Number.isInteger(Math.log2(value));
  if (possible && value <= 1 << 20) return value;
  throw new FacetError(
    `${where}: general.alignment is ${String(value)}, not a power of two from 8 to 2^20.`,
  );
}
