import { resolve } from "node:path";
import { withFile } from "../exactRead.js";
import { type Hdf5Type, typeOf } from "./datatypes.js";
import { bytesOf, FileView, latin1, text } from "./fileView.js";

/**
 * HDF5 as h5py writes it for Keras (HDF5 File Format Specification 3.0): superblock 0, object headers of version 1, groups
 * as symbol tables, data in one piece without compression. Everything else is refused. Files of such weights have
 * up to 10 GB, more than the HDF5 library can hold as WebAssembly.
 */

export interface Hdf5Dataset {
  readonly kind: "dataset";
  readonly shape: readonly number[];
  readonly type: Hdf5Type;
  /** Absolute path, and the bytes from `offset` on that hold the values, row-major and little-endian. */
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
  readonly attributes: ReadonlyMap<string, string>;
}

export interface Hdf5Group {
  readonly kind: "group";
  readonly members: ReadonlyMap<string, Hdf5Group | Hdf5Dataset>;
  /** Those that are strings. */
  readonly attributes: ReadonlyMap<string, string>;
}

const SIGNATURE = "\x89HDF\r\n\x1a\n";
const UNDEFINED = 0xffff_ffff_ffff_ffffn;
/** Deeper than any model's layers; a file that goes deeper was made to. */
const MAX_DEPTH = 64;

const message = {
  dataspace: 1,
  datatype: 3,
  link: 6,
  layout: 8,
  attribute: 12,
  next: 16,
  table: 17,
};

/**
 * Reads the groups of an HDF5 file; the data stay on the disk.
 * Throws a FacetError, naming the file and the place in it, for what is damaged and for what Keras does not write.
 */
export function readHdf5(path: string): Hdf5Group {
  const file = resolve(path);
  return withFile(file, (handle) => new Reader(new FileView(handle, file)).root());
}

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly data: DataView;
}

class Reader {
  readonly #at: FileView;
  /** Objects read already: in a file of Keras none has two names, and none contains itself. */
  readonly #seen = new Set<number>();
  /** Heaps of strings by address, and their strings' bytes by index. */
  readonly #heaps = new Map<number, ReadonlyMap<number, DataView>>();

  constructor(at: FileView) {
    this.#at = at;
  }

  root(): Hdf5Group {
    const start = this.#at.size < 96 ? undefined : this.#at.bytes(0, 96);
    if (start === undefined || latin1(start, 0, 8) !== SIGNATURE) {
      throw this.#at.error("it is not an HDF5 file");
    }
    const version = start.getUint8(8);
    if (version > 1 || start.getUint8(13) !== 8 || start.getUint8(14) !== 8) {
      throw this.#at.error(
        `it is of a newer kind of HDF5 (superblock ${version}) than Keras writes. Save it again with Keras, or h5py with libver="earliest"`,
      );
    }
    // Version 1 has four bytes more in front of the addresses.
    const entry = (version === 0 ? 56 : 60) + 8;
    const object = this.#object(this.#at.address(start, entry), "/", 0);
    if (object.kind === "group") return object;
    throw this.#at.error("its root is no group");
  }

  #object(address: number, name: string, depth: number): Hdf5Group | Hdf5Dataset {
    if (this.#seen.has(address) || depth > MAX_DEPTH) {
      throw this.#at.error(`${name} contains itself, or something that is elsewhere too`);
    }
    this.#seen.add(address);
    const messages = this.#messages(address, name);
    const one = (type: number) => messages.find((found) => found.type === type)?.data;
    const attributes = new Map<string, string>();
    for (const { type, data } of messages) {
      if (type !== message.attribute) continue;
      const attribute = this.#attribute(data, name);
      if (attribute !== undefined) attributes.set(...attribute);
    }
    const table = one(message.table);
    if (table !== undefined) {
      const members = this.#members(this.#at.address(table, 0), this.#at.address(table, 8), name);
      const read = [...members].map(
        ([key, at]) =>
          [key, this.#object(at, `${name === "/" ? "" : name}/${key}`, depth + 1)] as const,
      );
      return { kind: "group", members: new Map(read), attributes };
    }
    const [space, type, layout] = [message.dataspace, message.datatype, message.layout].map(one);
    if (space === undefined || type === undefined || layout === undefined) {
      throw this.#at.error(`${name} is neither a group nor a dataset as Keras writes them`);
    }
    return { ...this.#dataset(space, type, layout, name), attributes };
  }

  #dataset(space: DataView, type: DataView, layout: DataView, name: string) {
    const described = typeOf(bytesOf(type));
    if (described === undefined || described.type === "string") {
      throw this.#at.error(`${name} holds values of a type that Keras's weights do not have`);
    }
    const shape = this.#shape(space, name);
    const byteLength = shape.reduce((product, size) => product * size, described.size);
    if (!Number.isSafeInteger(byteLength)) throw this.#at.error(`${name}: [${shape}] is no shape`);
    if (this.#at.field(layout, 0, 1, name).getUint8(0) !== 3) {
      throw this.#at.error(`${name} is stored in a way that Keras does not use`);
    }
    const kind = this.#at.field(layout, 1, 1, name).getUint8(0);
    if (kind !== 1) {
      throw this.#at.error(
        `${name} is ${kind === 2 ? "compressed or in chunks" : "stored in its header"}, which Keras does not do`,
      );
    }
    const place = this.#at.field(layout, 2, 16, name);
    // Data without values have no place.
    const offset = place.getBigUint64(0, true) === UNDEFINED ? 0 : this.#at.address(place, 0);
    if (byteLength > 0 && (offset === 0 || offset + byteLength > this.#at.size)) {
      throw this.#at.error(
        `${name} takes ${byteLength} bytes from ${offset} on, but the file has ${this.#at.size}. It is truncated; get it again`,
      );
    }
    return {
      kind: "dataset" as const,
      shape,
      type: described.type,
      file: this.#at.file,
      offset,
      byteLength,
    };
  }

  /** All messages of an object's header, with its continuations. */
  #messages(address: number, name: string): Message[] {
    const header = this.#at.bytes(address, 16);
    if (header.getUint8(0) !== 1) {
      throw this.#at.error(`${name} has a header of a newer kind of HDF5 than Keras writes`);
    }
    let left = header.getUint16(2, true);
    const blocks: [number, number][] = [[address + 16, header.getUint32(8, true)]];
    const messages: Message[] = [];
    // Blocks may not lie over each other, so all of them fit into the file.
    let total = 0;
    for (const [at, length] of blocks) {
      total += length;
      if (total > this.#at.size)
        throw this.#at.error(`the header of ${name} is longer than the file`);
      const block = this.#at.bytes(at, length);
      for (let place = 0; place + 8 <= length && left > 0; left--) {
        const size = block.getUint16(place + 2, true);
        const data = this.#at.field(block, place + 8, size, name);
        const type = block.getUint16(place, true);
        if (type === message.link) {
          throw this.#at.error(`${name} has links of a newer kind of HDF5 than Keras writes`);
        }
        if (type === message.next) {
          const next = this.#at.field(data, 0, 16, name);
          blocks.push([this.#at.address(next, 0), this.#at.length(next, 8, name)]);
        } else messages.push({ type, flags: block.getUint8(place + 4), data });
        place += 8 + size;
      }
    }
    return messages;
  }

  #shape(space: DataView, name: string): number[] {
    const version = this.#at.field(space, 0, 4, name).getUint8(0);
    const rank = space.getUint8(1);
    if (version !== 1 || rank > 8) throw this.#at.error(`${name} has no shape that Facet can read`);
    const sizes = this.#at.field(space, 8, 8 * rank, name);
    return Array.from({ length: rank }, (_, axis) => Number(sizes.getBigUint64(8 * axis, true)));
  }

  /** An attribute that is one string; undefined for others. */
  #attribute(data: DataView, name: string): [string, string] | undefined {
    const version = this.#at.field(data, 0, 8, name).getUint8(0);
    if (version !== 1) return undefined;
    const [nameSize, typeSize, spaceSize] = [2, 4, 6].map((at) => data.getUint16(at, true));
    const padded = (size: number) => Math.ceil(size / 8) * 8;
    const typeAt = 8 + padded(nameSize!);
    const spaceAt = typeAt + padded(typeSize!);
    const valueAt = spaceAt + padded(spaceSize!);
    const key = text(this.#at.field(data, 8, nameSize!, name), this.#at.file);
    const type = typeOf(bytesOf(this.#at.field(data, typeAt, typeSize!, name)));
    const space = this.#at.field(data, spaceAt, spaceSize!, name);
    if (type?.type !== "string" || spaceSize! < 2 || space.getUint8(1) !== 0) return undefined;
    const value = this.#at.field(data, valueAt, 16, name);
    const length = value.getUint32(0, true);
    const index = value.getUint32(12, true);
    return [key, this.#heapString(this.#at.address(value, 4), index, length, name)];
  }

  #heapString(address: number, index: number, length: number, name: string): string {
    const heap = this.#heaps.get(address) ?? this.#heap(address, name);
    this.#heaps.set(address, heap);
    const object = heap.get(index);
    if (object === undefined || length > object.byteLength) {
      throw this.#at.error(`${name} has a string that its heap does not`);
    }
    this.#at.spend(length);
    return text(this.#at.field(object, 0, length, name), this.#at.file);
  }

  #heap(address: number, name: string): ReadonlyMap<number, DataView> {
    const head = this.#at.bytes(address, 16);
    if (latin1(head, 0, 4) !== "GCOL") throw this.#at.error(`${name} has a string in no heap`);
    const whole = this.#at.bytes(address, this.#at.length(head, 8, name));
    const objects = new Map<number, DataView>();
    for (let at = 16; at + 16 <= whole.byteLength; ) {
      const id = whole.getUint16(at, true);
      const bytes = this.#at.length(whole, at + 8, name);
      if (id === 0) break;
      if (!objects.has(id)) objects.set(id, this.#at.field(whole, at + 16, bytes, name));
      at += 16 + Math.ceil(bytes / 8) * 8;
    }
    return objects;
  }

  /** Names and header addresses of a group's members: a B-tree whose leaves are tables of symbols. */
  #members(tree: number, heap: number, name: string): Map<string, number> {
    const head = this.#at.bytes(heap, 32);
    if (latin1(head, 0, 4) !== "HEAP") throw this.#at.error(`${name} has no heap of names`);
    const names = this.#at.bytes(this.#at.address(head, 24), this.#at.length(head, 8, name));
    const members = new Map<string, number>();
    const seen = new Set<number>();
    // Below each level, which is a byte, are lower ones.
    const visit = (address: number, above: number): void => {
      const node = this.#at.bytes(address, 8);
      const [level, count] = [node.getUint8(5), node.getUint16(6, true)];
      const isTree = latin1(node, 0, 4) === "TREE";
      if (seen.has(address) || (isTree && level >= above)) {
        throw this.#at.error(`the tree of ${name} contains itself`);
      }
      seen.add(address);
      if (isTree) {
        const children = this.#at.bytes(address + 24, 8 + 16 * count);
        for (let i = 0; i < count; i++) visit(this.#at.address(children, 8 + 16 * i), level);
      } else if (latin1(node, 0, 4) === "SNOD") {
        const entries = this.#at.bytes(address + 8, 40 * count);
        for (let i = 0; i < count; i++) {
          if (entries.getUint32(40 * i + 16, true) > 1) {
            throw this.#at.error(`${name} has a link, which Keras does not write`);
          }
          const key = this.#name(names, this.#at.address(entries, 40 * i), name);
          if (members.has(key)) throw this.#at.error(`${name} has two members called ${key}`);
          members.set(key, this.#at.address(entries, 40 * i + 8));
        }
      } else throw this.#at.error(`${name} has no tree of members`);
    };
    visit(tree, 256);
    return members;
  }

  #name(names: DataView, from: number, group: string): string {
    let end = from;
    while (end < names.byteLength && names.getUint8(end) !== 0) end++;
    if (end >= names.byteLength || end === from) {
      throw this.#at.error(`${group} has a member without a name`);
    }
    this.#at.spend(end - from);
    return text(this.#at.field(names, from, end - from, group), this.#at.file);
  }
}
