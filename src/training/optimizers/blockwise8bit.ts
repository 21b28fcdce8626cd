import type { Slot } from "../../engines/parameters.js";
import type { StateTensor } from "./optimizer.js";

/** Elements that share a scale. */
export const blockSize = 256;

/**
 * The 256 values of dynamic 8-bit quantization, from −1 or 0 to 1, ascending (Dettmers et al. 2022,
 * arXiv:2110.02861, section 1.3 and appendix): seven decades, each with twice as many evenly spaced
 * values as the one below it. Without negative values a decade has twice as many again.
 */
export function dynamicValues(signed: boolean): Float64Array {
  const values = [0, 1];
  for (let decade = 0; decade < 7; decade++) {
    const count = 2 ** (signed ? decade : decade + 1);
    for (let i = 0; i < count; i++) {
      // The middle of the i-th of `count` equal parts of [0.1, 1].
      const value = (0.1 + (0.9 * (i + 0.5)) / count) * 10 ** (decade - 6);
      values.push(value);
      if (signed) values.push(-value);
    }
  }
  return Float64Array.from(values).sort();
}

/** A buffer of one byte per element and a float32 scale, the largest magnitude, per block. */
export interface EightBitBuffer {
  readonly state: Readonly<Record<string, StateTensor>>;
  /** Widens a block, the elements from `block` · 256, into the front of `out`. */
  read(block: number, out: Float64Array): void;
  /** Rounds a block's values to the nearest codes. */
  write(block: number, values: Float64Array): void;
}

/**
 * All zero at first. With `keepPositive`, what is not zero does not become zero either: a second
 * moment of 0 under a first one that is not would make Adam's step as large as 1 / epsilon.
 */
export function eightBitBuffer(
  what: string,
  { shape, length }: Slot,
  { signed, keepPositive = false }: { signed: boolean; keepPositive?: boolean },
): EightBitBuffer {
  const values = dynamicValues(signed);
  const zero = values.indexOf(0);
  const codes = new Uint8Array(length).fill(zero);
  const scales = new Float32Array(Math.ceil(length / blockSize));
  const sizeOf = (block: number) => Math.min(blockSize, length - block * blockSize);
  return {
    state: {
      [what]: { dtype: "U8", shape, data: codes },
      [`${what}_scale`]: { dtype: "F32", shape: [scales.length], data: scales },
    },
    read(block, out) {
      const [size, scale] = [sizeOf(block), scales[block]!];
      for (let i = 0; i < size; i++) out[i] = values[codes[block * blockSize + i]!]! * scale;
    },
    write(block, given) {
      const size = sizeOf(block);
      let largest = 0;
      for (let i = 0; i < size; i++) largest = Math.max(largest, Math.abs(given[i]!));
      scales[block] = largest;
      const scale = scales[block]!;
      for (let i = 0; i < size; i++) {
        const code = scale === 0 ? zero : nearest(values, given[i]! / scale);
        const lifted = keepPositive && code === zero && given[i]! > 0 ? zero + 1 : code;
        codes[block * blockSize + i] = lifted;
      }
    },
  };
}

/** The index of the value nearest to x among ascending ones. */
function nearest(values: Float64Array, x: number): number {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= x) low = middle;
    else high = middle;
  }
  return x - values[low]! <= values[high]! - x ? low : high;
}
