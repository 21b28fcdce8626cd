import { closeSync, fstatSync, openSync } from "node:fs";
import { readFully } from "../exactRead.js";
import { type Leaf, openLeaf } from "./leaf.js";
import { type ParquetMetadata, type RowGroup, readMetadata } from "./metadata.js";
import type { ReadAt } from "./pages.js";
import { leavesOf, type SchemaNode } from "./schema.js";
import { unpackerOf } from "./unpack.js";

/** The largest footer; as objects it takes up to fifty times its size. */
const MAX_FOOTER = 1 << 26;

/**
 * The rows of a Parquet file as objects of JavaScript: text, numbers (dates and times as they are stored), booleans,
 * lists, structures, null; and bytes where something else is stored: what is no UTF-8, decimals, the oldest times.
 * Of every column one page is in memory at a time.
 * Throws an Error, which says what is wrong with the file, for one that is damaged or made to harm; and the system's own
 * for one that cannot be read.
 */
export async function* parquetRecords(path: string): AsyncGenerator<Record<string, unknown>> {
  const file = openSync(path, "r");
  try {
    const read: ReadAt = (start, length) => {
      const bytes = Buffer.alloc(length);
      readFully(file, bytes, start, path);
      return bytes;
    };
    const { columns, groups } = footerOf(read, fstatSync(file).size);
    for (const group of groups) yield* groupRecords(columns, group, read);
  } finally {
    closeSync(file);
  }
}

function footerOf(read: ReadAt, size: number): ParquetMetadata {
  const end = size < 12 ? undefined : read(size - 8, 8);
  if (end?.toString("latin1", 4) !== "PAR1") throw new Error("it does not end as one");
  const length = end.readUInt32LE(0);
  if (length > size - 12) throw new Error("its footer is longer than the file");
  if (length > MAX_FOOTER) throw new Error(`its footer has more than ${MAX_FOOTER} bytes`);
  return readMetadata(read(size - 8 - length, length), size);
}

async function* groupRecords(
  columns: readonly SchemaNode[],
  { rows, chunks }: RowGroup,
  read: ReadAt,
): AsyncGenerator<Record<string, unknown>> {
  const leaves = new Map<SchemaNode, Leaf>();
  for (const chunk of chunks) {
    leaves.set(chunk.node, openLeaf(chunk, read, await unpackerOf(chunk.codec)));
  }
  const all = [...leaves.values()];
  const readers = columns.map((column) => [column.name, readerOf(column, leaves)] as const);
  for (let row = 0; row < rows; row++) {
    // At the start of a row nothing goes on.
    if (all.some(({ repetition }) => repetition !== 0)) throw contradiction();
    // fromEntries, unlike assignment, is safe for a column named __proto__.
    yield Object.fromEntries(readers.map(([name, next]) => [name, next()]));
  }
  if (!all.every(({ ended }) => ended)) throw new Error("it has more values than rows");
}

type Leaves = ReadonlyMap<SchemaNode, Leaf>;
type Next = () => unknown;

const contradiction = () => new Error("its columns say different things of one row");

/**
 * Takes the values of one node after the other from the leaves below it, by their levels (Dremel, Melnik et al. 2010):
 * the first leaf says whether the node is there and whether its list goes on, and the others must agree.
 */
function readerOf(node: SchemaNode, leaves: Leaves, value = presentReader(node, leaves)): Next {
  const below = leavesOf(node).map((leaf) => leaves.get(leaf)!);
  const first = below[0]!;
  if (node.repetition === "required") return value;
  const { definition, repeats } = node;
  const skip = () => {
    for (const leaf of below) {
      if (leaf.definition >= definition) throw contradiction();
      leaf.take();
    }
  };
  if (node.repetition === "optional") {
    return () => {
      if (first.definition >= definition) return value();
      skip();
      return null;
    };
  }
  return () => {
    const items: unknown[] = [];
    if (first.definition < definition) {
      skip();
      return items;
    }
    do items.push(value());
    while (!first.ended && first.repetition === repeats);
    return items;
  };
}

/** The same for a node that is there. */
function presentReader(node: SchemaNode, leaves: Leaves): Next {
  if (node.leaf !== undefined) {
    const leaf = leaves.get(node)!;
    return () => {
      if (leaf.definition !== node.definition) throw contradiction();
      return leaf.take();
    };
  }
  if (node.isList) return listReader(node, leaves);
  const readers = node.children.map((child) => [child.name, readerOf(child, leaves)] as const);
  return () => Object.fromEntries(readers.map(([name, next]) => [name, next()]));
}

/**
 * The same for a list. Its items are in a structure of their own, `list.element`; older writers have them in the list
 * itself, which is told by names (LogicalTypes.md of Apache Parquet).
 */
function listReader({ name, children }: SchemaNode, leaves: Leaves): Next {
  const list = children[0]!;
  const [element] = list.children;
  const isOwn =
    list.children.length !== 1 || list.name === "array" || list.name === `${name}_tuple`;
  return isOwn ? readerOf(list, leaves) : readerOf(list, leaves, readerOf(element!, leaves));
}
