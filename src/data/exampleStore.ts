import type { Example } from "./examples.js";
import { growing } from "./growing.js";
import { type Spill, type Words, wordStore } from "./wordStore.js";

/** Examples by their index; an array of them is one such. */
export interface Examples extends Iterable<Example> {
  readonly length: number;
  at(index: number): Example | undefined;
}

/** Where each example lies, and what is known of it without reading it. By index. */
export interface ExampleIndex {
  /** Of its first word. */
  readonly starts: Float64Array;
  readonly counts: Uint32Array;
  readonly lines: Uint32Array;
  readonly truncated: Uint32Array;
}

export interface StoredExamples extends Examples {
  index(): ExampleIndex;
}

/** Examples as a worker sends them. A word is an id; its highest bit says that the id is a target. */
export interface PackedExamples extends Omit<ExampleIndex, "starts"> {
  readonly words: Uint32Array;
}

export interface ExampleStore extends StoredExamples {
  push(example: Example): void;
  append(examples: PackedExamples): void;
  /** All words as bytes, in pieces. */
  pieces(): Generator<Uint8Array>;
}

const TARGET = 2 ** 31;

/** A store that holds examples as flat numbers, one word for each id, and beyond `spill.bytes` in a file. */
export function exampleStore(spill: Spill): ExampleStore {
  const words = wordStore(spill);
  const starts = growing(Float64Array);
  const counts = growing(Uint32Array);
  const lines = growing(Uint32Array);
  const truncated = growing(Uint32Array);
  const index = () => ({
    starts: starts.values(),
    counts: counts.values(),
    lines: lines.values(),
    truncated: truncated.values(),
  });
  return {
    ...storedExamples(words, index),
    get length() {
      return counts.length;
    },
    push(example) {
      starts.push(words.length);
      counts.push(example.ids.length);
      lines.push(example.line);
      truncated.push(example.truncated);
      words.append(packedWords(example));
    },
    append(packed) {
      let start = words.length;
      for (const count of packed.counts) {
        starts.push(start);
        start += count;
      }
      counts.append(packed.counts);
      lines.append(packed.lines);
      truncated.append(packed.truncated);
      words.append(packed.words);
    },
    pieces: words.pieces,
  };
}

/** The examples that lie in these words. */
export function storedExamples(words: Words, index: () => ExampleIndex): StoredExamples {
  const examples: StoredExamples = {
    index,
    get length() {
      return index().counts.length;
    },
    at(i) {
      const { starts, counts, lines, truncated } = index();
      if (!(Number.isInteger(i) && i >= 0 && i < counts.length)) return undefined;
      const count = counts[i]!;
      const packed = words.read(starts[i]!, count);
      const ids = new Int32Array(count);
      const isTarget = new Uint8Array(count);
      for (let k = 0; k < count; k++) {
        ids[k] = packed[k]! & (TARGET - 1);
        isTarget[k] = packed[k]! >>> 31;
      }
      return { ids, isTarget, line: lines[i]!, truncated: truncated[i]! };
    },
    *[Symbol.iterator]() {
      const { length } = index().counts;
      for (let i = 0; i < length; i++) yield examples.at(i)!;
    },
  };
  return examples;
}

/** How many ids each example has. */
export const idCounts = (examples: Examples): Int32Array =>
  "index" in examples
    ? Int32Array.from((examples as StoredExamples).index().counts)
    : Int32Array.from(examples, ({ ids }) => ids.length);

/** Ids per example before truncation, start and end token included. */
export function fullLengths(examples: Examples): number[] {
  if (!("index" in examples)) {
    return Array.from(examples, ({ ids, truncated }) => ids.length + truncated);
  }
  const { counts, truncated } = (examples as StoredExamples).index();
  return Array.from(counts, (count, i) => count + truncated[i]!);
}

/** Collects examples to be sent to another thread. */
export function packer(): { push(example: Example): void; packed(): PackedExamples } {
  const words = growing(Uint32Array);
  const counts = growing(Uint32Array);
  const lines = growing(Uint32Array);
  const truncated = growing(Uint32Array);
  return {
    push(example) {
      words.append(packedWords(example));
      counts.push(example.ids.length);
      lines.push(example.line);
      truncated.push(example.truncated);
    },
    packed: () => ({
      words: words.values().slice(),
      counts: counts.values().slice(),
      lines: lines.values().slice(),
      truncated: truncated.values().slice(),
    }),
  };
}

function packedWords({ ids, isTarget }: Example): Uint32Array {
  const words = new Uint32Array(ids.length);
  for (let i = 0; i < ids.length; i++) words[i] = ids[i]! + TARGET * isTarget[i]!;
  return words;
}
