import { resolve } from "node:path";
import { readFully, withFile } from "../exactRead.js";
import type { StoredTensor } from "../storedTensor.js";
import { HeaderReader } from "./headerReader.js";
import { readMetadata } from "./readMetadata.js";
import { type GgmlTypeName, ggmlTypes, typeOfCode } from "./tensorTypes.js";
import { alignmentOf, type GgufMetadata } from "./values.js";

export interface GgufTensor extends StoredTensor {
  readonly type: GgmlTypeName;
}

export interface GgufFile {
  readonly metadata: GgufMetadata;
  /** Shapes are as elsewhere in Facet, the last axis varying fastest; GGUF writes them the other way round. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Where a tensor lies; `offset` counts from the start of the data. */
interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlTypeName;
  readonly offset: number;
  readonly byteLength: number;
}

/** "GGUF" as a little-endian number. */
const MAGIC = 0x46554747;
const MAX_AXES = 4;
/** The least bytes that an entry takes: its name's length, its number of axes, its type and its offset. */
const LEAST = 8 + 4 + 4 + 8;
/** Elements decoded at a time. */
const PIECE = 1 << 20;

/**
 * Reads and checks the header of a GGUF file (version 2 or 3, little-endian); the tensors' bytes stay on the disk.
 * Throws a FacetError, naming the file and the place, for what is malformed or truncated, for tensors that overlap,
 * and for types of tensors that Facet does not read.
 */
export function readGguf(path: string): GgufFile {
  const file = resolve(path);
  const { metadata, entries, dataStart } = withFile(file, (handle) =>
    readHeader(new HeaderReader(handle, file)),
  );
  const tensors = entries.map((entry) => [entry.name, tensorAt(file, dataStart, entry)] as const);
  return { metadata, tensors: new Map(tensors) };
}

function readHeader(reader: HeaderReader) {
  if (reader.size < 24 || reader.uint32("the file's mark") !== MAGIC) {
    throw reader.error("it is not a GGUF file");
  }
  const version = reader.uint32("the version");
  if (version !== 2 && version !== 3) {
    throw reader.error(
      `its version is ${version}; Facet reads versions 2 and 3, little-endian. Convert the model again`,
    );
  }
  const tensorCount = reader.uint64("the number of tensors");
  const metadata = readMetadata(reader, reader.uint64("the number of metadata values"));
  const alignment = alignmentOf(metadata, reader.path);
  const count = reader.require(tensorCount, LEAST, `a list of ${tensorCount} tensors`);
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(reader, alignment));
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  checkPlaces(reader, entries, dataStart);
  return { metadata, entries, dataStart };
}

function readEntry(reader: HeaderReader, alignment: number): Entry {
  const name = reader.string("a tensor's name");
  const where = `tensor "${name}"`;
  const axes = reader.uint32(where);
  if (axes > MAX_AXES) throw reader.error(`${where} has ${axes} axes, more than ${MAX_AXES}`);
  const sizes = Array.from({ length: axes }, () => Number(reader.uint64(where))).reverse();
  const code = reader.uint32(where);
  const type = typeOfCode(code);
  if (type === undefined) {
    const known = Object.keys(ggmlTypes).join(", ");
    throw reader.error(`${where} is of GGML's type ${code}; Facet reads ${known}`);
  }
  const offset = Number(reader.uint64(where));
  const count = sizes.reduce((product, size) => product * size, 1);
  const { elements, bytes } = ggmlTypes[type];
  if (!sizes.every(Number.isSafeInteger) || !Number.isSafeInteger(count * 4)) {
    throw reader.error(`${where}: [${sizes}] is not a possible shape`);
  }
  if ((sizes.at(-1) ?? 1) % elements !== 0) {
    throw reader.error(`${where}: rows of ${sizes.at(-1)} are not whole blocks of ${type}`);
  }
  if (offset % alignment !== 0) {
    throw reader.error(
      `${where} begins at byte ${offset} of the data, no multiple of ${alignment}`,
    );
  }
  return { name, shape: sizes, type, offset, byteLength: (count / elements) * bytes };
}

function checkPlaces(reader: HeaderReader, entries: readonly Entry[], dataStart: number): void {
  const names = new Set<string>();
  let end = 0;
  for (const { name, offset, byteLength } of [...entries].sort((a, b) => a.offset - b.offset)) {
    if (names.has(name)) throw reader.error(`tensor "${name}" is there twice`);
    names.add(name);
    if (offset < end) throw reader.error(`tensor "${name}" overlaps the one before it`);
    end = offset + byteLength;
    if (dataStart + end > reader.size) {
      throw reader.error(
        `tensor "${name}" ends at byte ${dataStart + end}, but the file has ${reader.size}. It is truncated; get it again`,
      );
    }
  }
}

function tensorAt(file: string, dataStart: number, entry: Entry): GgufTensor {
  const { name, shape, type, offset, byteLength } = entry;
  const { elements, bytes, dtype, decode } = ggmlTypes[type];
  const width = Math.max(1, shape.at(-1) ?? 1);
  const piece = Math.max(1, Math.floor(PIECE / width)) * width;
  const count = (byteLength / bytes) * elements;
  function* storedPieces() {
    for (let start = 0; start < count; start += piece) {
      const stored = new Uint8Array((Math.min(piece, count - start) / elements) * bytes);
      const from = dataStart + offset + (start / elements) * bytes;
      withFile(file, (handle) => readFully(handle, stored, from, `${file}: tensor "${name}"`));
      yield stored;
    }
  }
  return {
    shape,
    type,
    dtype,
    *read() {
      for (const stored of storedPieces()) {
        const values = new Float32Array((stored.length / bytes) * elements);
        decode(stored, values);
        yield values;
      }
    },
    ...((type === "Q8_0" || type === "Q4_0") && { blocks: { type, read: storedPieces } }),
  };
}
