import type { HeaderReader } from "./headerReader.js";
import {
  type GgufScalar,
  type GgufScalarType,
  type GgufValue,
  valueBytes,
  valueTypes,
} from "./values.js";

/** The least bytes that a metadata value takes: its key's length, its type, and one byte. */
const LEAST = 8 + 4 + 1;

/** Reads `count` metadata values. Throws a FacetError for what is no value, and for a key that occurs twice. */
export function readMetadata(reader: HeaderReader, count: bigint): Map<string, GgufValue> {
  const length = reader.require(count, LEAST, `a list of ${count} metadata values`);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < length; i++) {
    const key = reader.string("a metadata key");
    if (metadata.has(key)) throw reader.error(`the metadata has "${key}" twice`);
    metadata.set(key, readValue(reader, `the metadata value "${key}"`));
  }
  return metadata;
}

function readValue(reader: HeaderReader, what: string): GgufValue {
  const type = readType(reader, what);
  if (type !== "array") return { type, value: readScalar(reader, type, what) };
  const of = readType(reader, what);
  if (of === "array") {
    throw reader.error(`${what} is an array of arrays, which Facet does not read`);
  }
  const length = reader.uint64(what);
  const count = reader.require(length, valueBytes[of], `${what}, of ${length} elements,`);
  const value: GgufScalar[] = [];
  for (let i = 0; i < count; i++) value.push(readScalar(reader, of, what));
  return { type, of, value };
}

function readType(reader: HeaderReader, what: string) {
  const code = reader.uint32(what);
  const type = valueTypes[code];
  if (type === undefined) throw reader.error(`${what} is of the unknown type ${code}`);
  return type;
}

const readScalar = (reader: HeaderReader, type: GgufScalarType, what: string): GgufScalar =>
  type === "string" ? reader.string(what) : numbers[type](reader.take(valueBytes[type], what));

const numbers: Record<Exclude<GgufScalarType, "string">, (view: DataView) => GgufScalar> = {
  uint8: (view) => view.getUint8(0),
  int8: (view) => view.getInt8(0),
  uint16: (view) => view.getUint16(0, true),
  int16: (view) => view.getInt16(0, true),
  uint32: (view) => view.getUint32(0, true),
  int32: (view) => view.getInt32(0, true),
  float32: (view) => view.getFloat32(0, true),
  bool: (view) => view.getUint8(0) !== 0,
  uint64: (view) => view.getBigUint64(0, true),
  int64: (view) => view.getBigInt64(0, true),
  float64: (view) => view.getFloat64(0, true),
};
