import type { HostTensor } from "../engines/engine.js";

/** What a cache has to know about the model. */
export interface CacheShape {
  readonly numLayers: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
}

/**
 * The keys and values of the tokens so far. There are more places than tokens, so that adding one writes its own keys
 * and values and moves nothing else.
 */
export interface Cache {
  /** Tokens that each row holds. */
  readonly length: number;
  /** Places of each row; those from `length` on hold nothing. */
  readonly capacity: number;
  /** Inputs of the program: `keys.i` and `values.i`, `[batch, kvHeads, capacity, headDim]`. */
  inputs(): Readonly<Record<string, HostTensor>>;
  /** Takes a program's outputs `new.keys.i` and `new.values.i`, `[batch, kvHeads, tokens, headDim]`. */
  append(outputs: Readonly<Record<string, HostTensor>>): void;
  /** Forgets the last `count` tokens of each row. */
  drop(count: number): void;
}

/** Places that are added at a time. */
const block = 128;

/** An empty cache for `batch` rows. It has one place, for kernels that know no empty matrix. */
export function openCache(
  { numLayers, numKeyValueHeads, headDim }: CacheShape,
  batch: number,
): Cache {
  const heads = batch * numKeyValueHeads;
  const names = Array.from({ length: numLayers }, (_, layer) => [
    `keys.${layer}`,
    `values.${layer}`,
  ]).flat();
  let length = 0;
  let capacity = 1;
  let buffers = new Map(names.map((name) => [name, new Float32Array(heads * headDim)]));

  /** Copies `count` tokens of each head from one buffer, of `places` a head, to place `at` of another. */
  const copy = (
    from: Float32Array,
    places: number,
    count: number,
    to: Float32Array,
    at: number,
    toPlaces: number,
  ) => {
    for (let head = 0; head < heads; head++) {
      const start = head * places * headDim;
      to.set(from.subarray(start, start + count * headDim), (head * toPlaces + at) * headDim);
    }
  };

  const grow = (wanted: number) => {
    buffers = new Map(
      [...buffers].map(([name, old]) => {
        const larger = new Float32Array(heads * wanted * headDim);
        copy(old, capacity, length, larger, 0, wanted);
        return [name, larger];
      }),
    );
    capacity = wanted;
  };

  return {
    get length() {
      return length;
    },
    get capacity() {
      return capacity;
    },
    inputs() {
      const shape = [batch, numKeyValueHeads, capacity, headDim];
      return Object.fromEntries([...buffers].map(([name, data]) => [name, { data, shape }]));
    },
    append(outputs) {
      const added = outputs[`new.${names[0]}`]!.shape[2]!;
      if (length + added > capacity) grow(Math.ceil((length + added) / block) * block);
      for (const [name, buffer] of buffers) {
        const fresh = outputs[`new.${name}`]!.data as Float32Array;
        copy(fresh, added, added, buffer, length, capacity);
      }
      length += added;
    },
    drop(count) {
      length -= count;
    },
  };
}
