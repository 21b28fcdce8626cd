import { FacetError } from "../../errors.js";
import { writeFileAtomic } from "../atomicFile.js";
import { type GgmlType, type GgmlTypeName, ggmlTypes } from "./tensorTypes.js";
import {
  alignmentOf,
  type GgufMetadata,
  type GgufScalar,
  type GgufScalarType,
  type GgufValue,
  valueBytes,
  valueTypes,
} from "./values.js";

export interface GgufTensorToWrite {
  readonly name: string;
  /** As elsewhere in Facet, the last axis varying fastest. */
  readonly shape: readonly number[];
  readonly type: GgmlTypeName;
  /** All values, in pieces of whole rows; called when the tensor's turn comes. */
  readonly data: () => Iterable<Float32Array>;
}

/** GGML's limit, without the zero byte at the end. */
const MAX_NAME_BYTES = 63;

/**
 * Writes a GGUF file, version 3, whole or not at all; tensors lie in the order given.
 * Throws a FacetError for a name that is too long or occurs twice, a type that Facet only reads, data that does not fit its shape and type, and
 * for an alignment that is none.
 */
export function writeGguf(
  path: string,
  metadata: GgufMetadata,
  tensors: readonly GgufTensorToWrite[],
): void {
  const where = `Cannot write ${path}`;
  const parts = [
    new TextEncoder().encode("GGUF"),
    scalar("uint32", 3),
    scalar("uint64", BigInt(tensors.length)),
    scalar("uint64", BigInt(metadata.size)),
  ];
  for (const [key, value] of metadata) parts.push(scalar("string", key), valueBytesOf(value));
  const alignment = alignmentOf(metadata, where);
  const names = new Set<string>();
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    if (names.has(name) || new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
      const reason = names.has(name) ? "is taken already" : `has over ${MAX_NAME_BYTES} bytes`;
      throw new FacetError(`${where}: the tensor name "${name}" ${reason}.`);
    }
    names.add(name);
    parts.push(scalar("string", name), scalar("uint32", shape.length));
    parts.push(...shape.toReversed().map((size) => scalar("uint64", BigInt(size))));
    parts.push(scalar("uint32", ggmlTypes[type].code), scalar("uint64", BigInt(offset)));
    offset += byteLength(tensor, where);
    offset += padding(offset, alignment);
  }
  const header = Buffer.concat(parts);
  writeFileAtomic(path, fileBytes(header, tensors, alignment, where));
}

function* fileBytes(
  header: Uint8Array,
  tensors: readonly GgufTensorToWrite[],
  alignment: number,
  where: string,
): Iterable<Uint8Array> {
  yield header;
  yield new Uint8Array(padding(header.length, alignment));
  for (const tensor of tensors) {
    const { encode }: GgmlType = ggmlTypes[tensor.type];
    let written = 0;
    for (const values of tensor.data()) {
      const bytes = encode!(values);
      written += bytes.length;
      yield bytes;
    }
    const wanted = byteLength(tensor, where);
    if (written !== wanted) {
      throw new FacetError(
        `${where}: tensor "${tensor.name}" has ${written} bytes, not the ${wanted} of [${tensor.shape}].`,
      );
    }
    yield new Uint8Array(padding(written, alignment));
  }
}

/** Bytes from here to the next place where a tensor may begin. */
const padding = (bytes: number, alignment: number) => -bytes & (alignment - 1);

function byteLength({ name, shape, type }: GgufTensorToWrite, where: string): number {
  const { elements, bytes, encode }: GgmlType = ggmlTypes[type];
  if (encode === undefined) {
    throw new FacetError(
      `${where}: tensor "${name}" is ${type}, which Facet reads but not writes.`,
    );
  }
  if ((shape.at(-1) ?? 1) % elements !== 0) {
    throw new FacetError(
      `${where}: tensor "${name}" is [${shape}], whose rows are not whole blocks of ${type}.`,
    );
  }
  return (shape.reduce((product, size) => product * size, 1) / elements) * bytes;
}

function valueBytesOf(value: GgufValue): Uint8Array {
  const code = scalar("uint32", valueTypes.indexOf(value.type));
  if (value.type !== "array") return Buffer.concat([code, scalar(value.type, value.value)]);
  const { of } = value;
  const count = scalar("uint64", BigInt(value.value.length));
  // A vocabulary has a quarter of a million elements: more than a call takes as arguments.
  const elements = value.value.map((element) => scalar(of, element));
  return Buffer.concat([
    code,
    scalar("uint32", valueTypes.indexOf(of)),
    count,
    Buffer.concat(elements),
  ]);
}

function scalar(type: GgufScalarType, value: GgufScalar): Uint8Array {
  if (type === "string") {
    const text = new TextEncoder().encode(value as string);
    return Buffer.concat([scalar("uint64", BigInt(text.length)), text]);
  }
  const view = new DataView(new ArrayBuffer(valueBytes[type]));
  write[type](view, value as never);
  return new Uint8Array(view.buffer);
}

const write = {
  uint8: (view: DataView, value: number) => view.setUint8(0, value),
  int8: (view: DataView, value: number) => view.setInt8(0, value),
  uint16: (view: DataView, value: number) => view.setUint16(0, value, true),
  int16: (view: DataView, value: number) => view.setInt16(0, value, true),
  uint32: (view: DataView, value: number) => view.setUint32(0, value, true),
  int32: (view: DataView, value: number) => view.setInt32(0, value, true),
  float32: (view: DataView, value: number) => view.setFloat32(0, value, true),
  bool: (view: DataView, value: boolean) => view.setUint8(0, Number(value)),
  uint64: (view: DataView, value: bigint) => view.setBigUint64(0, value, true),
  int64: (view: DataView, value: bigint) => view.setBigInt64(0, value, true),
  float64: (view: DataView, value: number) => view.setFloat64(0, value, true),
};
