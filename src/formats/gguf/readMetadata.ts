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
  if (of === "string") {
    for (let i = 0; i < count; i++) value.push(reader.string(what));
    return { type, of, value };
  }
  const size = valueBytes[of];
  const view = reader.take(count * size, what);
  for (let i = 0; i < count; i++) value.push(numbers[of](view, i * size));
  return { type, of, value };
}

function readType(reader: HeaderReader, what: string) {
  const code = reader.uint32(what);
  const type = valueTypes[code];
  if (type === undefined) throw reader.error(`${what} is of the unknown type ${code}`);
  return type;
}

const readScalar = (reader: HeaderReader, type: GgufScalarType, what: string): GgufScalar =>
  type === "string" ? reader.string(what) : numbers[type](reader.take(valueBytes[type], what), 0);

const numbers: Record<
  Exclude<GgufScalarType, "string">,
  (view: DataView, at: number) => GgufScalar
> = {
  uint8: (view, at) => view.getUint8(at),
  int8: (view, at) => view.getInt8(at),
  uint16: (view, at) => view.getUint16(at, true),
  int16: (view, at) => view.getInt16(at, true),
  uint32: (view, at) => view.getUint32(at, true),
  int32: (view, at) => view.getInt32(at, true),
  float32: (view, at) => view.getFloat32(at, true),
  bool: (view, at) => view.getUint8(at) !== 0,
  uint64: (view, at) => view.getBigUint64(at, true),
  int64: (view, at) => view.getBigInt64(at, true),
  float64: (view, at) => view.getFloat64(at, true),
};
