import { isUtf8 } from "node:buffer";
import type { ColumnChunk } from "./metadata.js";
import { type Page, pagesOf, type ReadAt } from "./pages.js";
import type { LeafType } from "./schema.js";
import type { Unpack } from "./unpack.js";
import {
  bits,
  deltaBytes,
  deltaLengthBytes,
  deltaNumbers,
  dictionaryValues,
  fixedBytes,
  type Next,
  plainBytes,
  runs,
  splitBytes,
} from "./values.js";

/** The values of a node without children, one after the other. Fields are those of the next one. */
export interface Leaf {
  /** Whether there is none any more. */
  readonly ended: boolean;
  readonly repetition: number;
  readonly definition: number;
  /** Takes the next value, null where it is missing. */
  take(): unknown;
}

const none: Next<number> = () => 0;
const bitWidth = (most: number) => 32 - Math.clz32(most);

/** Opens a column's chunk; one page of it is in memory at a time. Its functions throw an Error for what is damaged. */
export function openLeaf(chunk: ColumnChunk, read: ReadAt, unpack: Unpack): Leaf {
  const { node } = chunk;
  const type = node.leaf!;
  const pages = pagesOf(chunk, read, unpack);
  let left = 0;
  let dictionary: unknown[] | undefined;
  let repetition = none;
  let definition = none;
  let value: Next<unknown> = none;

  const open = (page: Page) => {
    if (page.kind === "dictionary") {
      dictionary = dictionaryOf(page, type);
      return;
    }
    left = page.count;
    repetition = page.repetition ? runs(page.repetition, bitWidth(node.repeats)) : none;
    definition = page.definition ? runs(page.definition, bitWidth(node.definition)) : none;
    value = valuesOf(page, type, dictionary);
  };

  const leaf = {
    ended: false,
    ...{ repetition: 0, definition: 0 },
    take(): unknown {
      if (leaf.ended)
        throw new Error(`the column "${node.path.join(".")}" has fewer values than rows`);
      const taken = leaf.definition === node.definition ? value() : null;
      advance();
      return taken;
    },
  };

  const advance = () => {
    while (left === 0) {
      const page = pages.next();
      if (page.done) {
        leaf.ended = true;
        return;
      }
      open(page.value);
    }
    left--;
    leaf.repetition = repetition();
    leaf.definition = definition();
    if (leaf.repetition > node.repeats || leaf.definition > node.definition) {
      throw new Error(
        `the column "${node.path.join(".")}" has levels that its schema does not have`,
      );
    }
  };

  advance();
  return leaf;
}

function dictionaryOf({ count, values }: Page, type: LeafType): unknown[] {
  const next = plainValues(values, type);
  const found: unknown[] = [];
  // Each takes some bits at least, so a count that is a lie ends here.
  for (let i = 0; i < count; i++) found.push(next());
  return found;
}

/** The values of a page that are there, by the number of its encoding in parquet.thrift. */
function valuesOf(
  { count, encoding, values }: Page,
  type: LeafType,
  dictionary: readonly unknown[] | undefined,
): Next<unknown> {
  const { kind } = type;
  const isBytes = kind === "text" || kind === "bytes";
  if (encoding === 0) return plainValues(values, type);
  if (encoding === 2 || encoding === 8) {
    if (dictionary === undefined) throw new Error("a page needs a dictionary that is not there");
    return dictionaryValues(values, dictionary);
  }
  if (encoding === 3 && kind === "boolean") {
    const next = runs(values.subarray(4), 1);
    return () => next() === 1;
  }
  if (encoding === 5 && (kind === "int32" || kind === "int64")) return deltaNumbers(values, count);
  if (encoding === 6 && isBytes) return converted(deltaLengthBytes(values, count), type);
  if (encoding === 7 && isBytes) return converted(deltaBytes(values, count), type);
  const width = widthOf(type);
  if (encoding === 9 && width !== undefined) return converted(splitBytes(values, width), type);
  throw new Error(`values are encoded in a way (${encoding}) that is not known`);
}

function plainValues(values: Buffer, type: LeafType): Next<unknown> {
  if (type.kind === "boolean") {
    const next = bits(values);
    return () => next() === 1;
  }
  const width = widthOf(type);
  return converted(width === undefined ? plainBytes(values) : fixedBytes(values, width), type);
}

const widths = { text: undefined, boolean: undefined, int32: 4, int64: 8, float: 4, double: 8 };

const widthOf = (type: LeafType): number | undefined =>
  type.kind === "bytes" ? type.width : widths[type.kind];

function converted(next: Next<Buffer>, type: LeafType): Next<unknown> {
  switch (type.kind) {
    case "int32":
      return type.unsigned ? () => next().readUInt32LE() : () => next().readInt32LE();
    case "int64":
      return () => Number(next().readBigInt64LE());
    case "float":
      return () => next().readFloatLE();
    case "double":
      return () => next().readDoubleLE();
    case "text":
      return () => textOf(next());
    default:
      return () => Uint8Array.from(next());
  }
}

/** Text, or the bytes where they are none. */
const textOf = (bytes: Buffer): string | Uint8Array =>
  isUtf8(bytes) ? bytes.toString("utf8") : Uint8Array.from(bytes);
