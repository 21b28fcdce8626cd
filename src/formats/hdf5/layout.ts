import { type NumberType, numberTypes, stringType } from "./datatypes.js";

export interface Hdf5DatasetToWrite {
  readonly kind: "dataset";
  readonly type: NumberType;
  readonly shape: readonly number[];
  /** All values in row-major order, in pieces: numbers for F32, F16 and BF16, else the bytes; called when their turn comes. */
  readonly data: () => Iterable<Float32Array | Uint8Array>;
  readonly attributes?: ReadonlyMap<string, string>;
}

export interface Hdf5GroupToWrite {
  readonly kind: "group";
  readonly members: ReadonlyMap<string, Hdf5GroupToWrite | Hdf5DatasetToWrite>;
  readonly attributes?: ReadonlyMap<string, string>;
}

/** Members of one leaf, and children of one node, of the tree of a group: twice the ranks in the superblock. */
const [LEAF, NODE] = [8, 32];
const NOWHERE = 0xffff_ffff_ffff_ffffn;
const SUPERBLOCK = 96;

export const padded = (size: number) => Math.ceil(size / 8) * 8;
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Where an object's header is and, of a group, its tree and its heap of names. */
interface Place {
  readonly header: number;
  readonly tree?: { readonly node: number; readonly heap: number };
}

interface PlacedDataset {
  readonly name: string;
  readonly dataset: Hdf5DatasetToWrite;
  readonly byteLength: number;
  /** Where in the metadata the address of the data stands. */
  readonly addressAt: number;
}

/** Everything but the data: headers, trees and names, one after the other, and then the places of the data. */
export class Layout {
  readonly metadata: Uint8Array;
  readonly datasets: PlacedDataset[] = [];
  #bytes = new Uint8Array(1 << 16);
  #end = SUPERBLOCK;
  readonly #strings = new Map<string, number>();
  #heap = 0;

  constructor(root: Hdf5GroupToWrite) {
    this.#placeStrings(root);
    const { header, tree } = this.#group(root, "");
    let end = this.#end;
    for (const { addressAt, byteLength } of this.datasets) {
      this.#view().setBigUint64(addressAt, byteLength === 0 ? NOWHERE : BigInt(end), true);
      end += padded(byteLength);
    }
    this.#superblock(end, header, tree!);
    this.metadata = this.#bytes.subarray(0, this.#end);
  }

  #superblock(end: number, header: number, { node, heap }: { node: number; heap: number }): void {
    const view = this.#view();
    this.#bytes.set(Buffer.from("\x89HDF\r\n\x1a\n", "latin1"));
    view.setUint8(13, 8);
    view.setUint8(14, 8);
    view.setUint16(16, LEAF / 2, true);
    view.setUint16(18, NODE / 2, true);
    for (const [at, value] of [
      [32, NOWHERE],
      [40, BigInt(end)],
      [48, NOWHERE],
      [64, BigInt(header)],
      [80, BigInt(node)],
      [88, BigInt(heap)],
    ] as const) {
      view.setBigUint64(at, value, true);
    }
    view.setUint32(72, 1, true);
  }

  #object(object: Hdf5GroupToWrite | Hdf5DatasetToWrite, name: string): Place {
    return object.kind === "group" ? this.#group(object, name) : this.#dataset(object, name);
  }

  #dataset(dataset: Hdf5DatasetToWrite, name: string): Place {
    const { type, shape, attributes } = dataset;
    const { size, message } = numberTypes[type];
    const space = Buffer.alloc(8 + 16 * shape.length);
    space.set([1, shape.length, shape.length > 0 ? 1 : 0]);
    // The sizes, and again as the largest that they may become.
    [...shape, ...shape].forEach((dim, i) => {
      space.writeBigUInt64LE(BigInt(dim), 8 + 8 * i);
    });
    const byteLength = shape.reduce((product, dim) => product * dim, size);
    const layout = Buffer.alloc(18);
    layout.set([3, 1]);
    layout.writeBigUInt64LE(BigInt(byteLength), 10);
    const messages = [
      { type: 1, data: space },
      { type: 3, data: message, constant: true },
      { type: 5, data: Uint8Array.of(2, 2, 2, 1, 0, 0, 0, 0) },
      { type: 8, data: layout },
    ];
    const { header, ends } = this.#header([...messages, ...this.#attributes(attributes)]);
    const addressAt = ends[3]! - padded(layout.length) + 2;
    this.datasets.push({ name, dataset, byteLength, addressAt });
    return { header };
  }

  #group({ members, attributes }: Hdf5GroupToWrite, path: string): Place {
    const names = [...members.keys()].sort((a, b) => Buffer.compare(utf8(a), utf8(b)));
    const table = Buffer.alloc(16);
    const { header, ends } = this.#header([
      { type: 17, data: table },
      ...this.#attributes(attributes),
    ]);
    const places = names.map((name) => this.#object(members.get(name)!, `${path}/${name}`));
    const { heap, offsets } = this.#names(names);
    const entries = names.map((_, i) => ({ offset: offsets[i]!, place: places[i]! }));
    const node = this.#tree(entries);
    this.#put64(ends[0]! - 16, node);
    this.#put64(ends[0]! - 8, heap);
    return { header, tree: { node, heap } };
  }

  #header(messages: { type: number; data: Uint8Array; constant?: boolean }[]) {
    const size = messages.reduce((sum, { data }) => sum + 8 + padded(data.length), 0);
    const header = this.#allocate(16 + size);
    const view = this.#view();
    view.setUint8(header, 1);
    view.setUint16(header + 2, messages.length, true);
    view.setUint32(header + 4, 1, true);
    view.setUint32(header + 8, size, true);
    let at = header + 16;
    const ends = messages.map(({ type, data, constant }) => {
      view.setUint16(at, type, true);
      view.setUint16(at + 2, padded(data.length), true);
      view.setUint8(at + 4, constant ? 1 : 0);
      this.#bytes.set(data, at + 8);
      at += 8 + padded(data.length);
      return at;
    });
    return { header, ends };
  }

  #attributes(attributes: ReadonlyMap<string, string> = new Map()) {
    return [...attributes].map(([key, value]) => {
      const name = utf8(`${key}\0`);
      const at = 8 + padded(name.length);
      const data = Buffer.alloc(at + padded(stringType.length) + 8 + 16);
      data.set([1, 0, name.length, 0, stringType.length, 0, 8, 0]);
      data.set(name, 8);
      data.set(stringType, at);
      const value16 = at + padded(stringType.length) + 8;
      data[value16 - 8] = 1;
      data.writeUInt32LE(utf8(value).length, value16);
      data.writeBigUInt64LE(BigInt(this.#heap), value16 + 4);
      data.writeUInt32LE(this.#strings.get(value)!, value16 + 12);
      return { type: 12, data };
    });
  }

  /** The heap of all attributes' values, each once. */
  #placeStrings(root: Hdf5GroupToWrite): void {
    const visit = (object: Hdf5GroupToWrite | Hdf5DatasetToWrite) => {
      for (const value of object.attributes?.values() ?? []) {
        if (!this.#strings.has(value)) this.#strings.set(value, this.#strings.size + 1);
      }
      if (object.kind === "group") for (const member of object.members.values()) visit(member);
    };
    visit(root);
    if (this.#strings.size === 0) return;
    const values = [...this.#strings.keys()].map(utf8);
    const used = values.reduce((sum, value) => sum + 16 + padded(value.length), 16);
    const size = Math.max(4096, padded(used + 16));
    this.#heap = this.#allocate(size);
    const view = this.#view();
    this.#bytes.set([...utf8("GCOL"), 1], this.#heap);
    this.#put64(this.#heap + 8, size);
    let at = this.#heap + 16;
    values.forEach((value, i) => {
      view.setUint16(at, i + 1, true);
      this.#put64(at + 8, value.length);
      this.#bytes.set(value, at + 16);
      at += 16 + padded(value.length);
    });
    // What is left is object 0.
    this.#put64(at + 8, this.#heap + size - at);
  }

  #names(names: readonly string[]): { heap: number; offsets: number[] } {
    let length = 8;
    const offsets = names.map((name) => {
      const offset = length;
      length += padded(utf8(name).length + 1);
      return offset;
    });
    const heap = this.#allocate(32 + length);
    this.#bytes.set(utf8("HEAP"), heap);
    // No free space: 1.
    for (const [at, value] of [length, 1, heap + 32].entries())
      this.#put64(heap + 8 + 8 * at, value);
    names.forEach((name, i) => {
      this.#bytes.set(utf8(name), heap + 32 + offsets[i]!);
    });
    return { heap, offsets };
  }

  /** A B-tree over tables of symbols; `last` is the offset of the largest name below a node. */
  #tree(entries: readonly { offset: number; place: Place }[]): number {
    let nodes = chunks(entries, LEAF).map((part) => {
      const table = this.#allocate(8 + 40 * LEAF);
      this.#bytes.set([...utf8("SNOD"), 1, 0, part.length, 0], table);
      part.forEach(({ offset, place: { header, tree } }, i) => {
        const at = table + 8 + 40 * i;
        this.#put64(at, offset);
        this.#put64(at + 8, header);
        if (tree === undefined) return;
        this.#view().setUint32(at + 16, 1, true);
        this.#put64(at + 24, tree.node);
        this.#put64(at + 32, tree.heap);
      });
      return { address: table, last: part.at(-1)?.offset ?? 0 };
    });
    for (let level = 0; level === 0 || nodes.length > 1; level++) {
      nodes = chunks(nodes, NODE).map((part) => {
        const node = this.#allocate(24 + 8 + 16 * NODE);
        this.#bytes.set([...utf8("TREE"), 0, level, part.length, 0], node);
        this.#view().setBigUint64(node + 8, NOWHERE, true);
        this.#view().setBigUint64(node + 16, NOWHERE, true);
        part.forEach(({ address, last }, i) => {
          this.#put64(node + 32 + 16 * i, address);
          this.#put64(node + 40 + 16 * i, last);
        });
        return { address: node, last: part.at(-1)!.last };
      });
      for (let i = 1; i < nodes.length; i++) {
        this.#put64(nodes[i - 1]!.address + 16, nodes[i]!.address);
        this.#put64(nodes[i]!.address + 8, nodes[i - 1]!.address);
      }
    }
    return nodes[0]!.address;
  }

  #allocate(size: number): number {
    const at = this.#end;
    this.#end += padded(size);
    if (this.#end > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#end);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }

  #view(): DataView {
    return new DataView(this.#bytes.buffer);
  }

  #put64(at: number, value: number): void {
    this.#view().setBigUint64(at, BigInt(value), true);
  }
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  const count = Math.max(1, Math.ceil(list.length / size));
  return Array.from({ length: count }, (_, i) => list.slice(i * size, (i + 1) * size));
}
