import { FacetError } from "../errors.js";
import { float16ToFloat32 } from "./dtypes.js";
import type { TensorInfo } from "./safetensors.js";
import type { QuantizedBlocks, StoredTensor } from "./storedTensor.js";

/**
 * Matrices in blocks of 32 values of a row, symmetric about zero, with a float32 scale for each block: Facet's own layout
 * of GGML's Q8_0 and Q4_0, which an engine can map and multiply with. First come the numbers of all blocks, unsigned,
 * row-major, the earlier of two 4-bit ones in the lower half of a byte; then the scales of all blocks.
 * value = scale · (number − 128), or − 8 in 4 bits.
 */

export const blockLength = 32;
export type QuantizedBits = 8 | 4;

/** Where the parts of a quantised matrix `[rows, columns]` lie. */
export interface QuantizedTensor {
  readonly bits: QuantizedBits;
  readonly shape: readonly [number, number];
  readonly byteLength: number;
  readonly values: FilePart;
  readonly scales: FilePart;
}

interface FilePart {
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** Whether a tensor has rows of whole blocks; others keep their type. */
export const canQuantize = (shape: readonly number[]): shape is readonly [number, number] =>
  shape.length === 2 && shape[1]! % blockLength === 0;

const valueBytes = ([rows, columns]: readonly [number, number], bits: QuantizedBits) =>
  (rows * columns * bits) / 8;
const scaleBytes = ([rows, columns]: readonly [number, number]) =>
  (rows * columns * 4) / blockLength;

/** Bytes of a whole quantised matrix. */
export const quantizedBytes = (shape: readonly [number, number], bits: QuantizedBits): number =>
  valueBytes(shape, bits) + scaleBytes(shape);

/** The quantised matrix that a tensor of bytes in a file is; undefined when it has not as many bytes as one. */
export function quantizedTensor(
  { file, offset, byteLength }: TensorInfo,
  shape: readonly [number, number],
): QuantizedTensor | undefined {
  const bits = ([8, 4] as const).find((bits) => byteLength === quantizedBytes(shape, bits));
  if (bits === undefined) return undefined;
  const values = { file, offset, byteLength: valueBytes(shape, bits) };
  const scales = { file, offset: offset + values.byteLength, byteLength: scaleBytes(shape) };
  return { bits, shape, byteLength, values, scales };
}

/**
 * A matrix's bytes, piece by piece. In 8 bits a block's scale is its largest magnitude / 127; in 4 bits its value of
 * largest magnitude / −8, so that this one is exact and all 16 numbers are of use (as ggml-quants.c has it, but with the
 * scale in float32). Throws a FacetError, starting with `where`, for values that are not finite.
 */
export function* quantize(
  { shape, read }: StoredTensor,
  bits: QuantizedBits,
  where: string,
): Iterable<Uint8Array> {
  const scales = new Float32Array(shape.reduce((count, size) => count * size, 1) / blockLength);
  let block = 0;
  for (const piece of read()) {
    const own = scales.subarray(block, block + piece.length / blockLength);
    block += own.length;
    yield bits === 8 ? eightBits(piece, own) : fourBits(piece, own);
    if (!own.every(Number.isFinite)) {
      throw new FacetError(`${where} has values that are not finite numbers.`);
    }
  }
  yield new Uint8Array(scales.buffer);
}

function eightBits(values: Float32Array, scales: Float32Array): Uint8Array {
  const numbers = new Uint8Array(values.length);
  for (let b = 0; b < scales.length; b++) {
    const start = b * blockLength;
    const scale = Math.fround(Math.abs(extreme(values, start)) / 127);
    scales[b] = scale;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = start; i < start + blockLength; i++) {
      numbers[i] = Math.round(values[i]! * inverse) + 128;
    }
  }
  return numbers;
}

function fourBits(values: Float32Array, scales: Float32Array): Uint8Array {
  const numbers = new Uint8Array(values.length / 2);
  for (let b = 0; b < scales.length; b++) {
    const start = b * blockLength;
    const scale = Math.fround(extreme(values, start) / -8);
    scales[b] = scale;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = start; i < start + blockLength; i += 2) {
      const low = Math.min(15, Math.round(values[i]! * inverse) + 8);
      const high = Math.min(15, Math.round(values[i + 1]! * inverse) + 8);
      numbers[i >> 1] = low | (high << 4);
    }
  }
  return numbers;
}

/** The value of largest magnitude in a block; NaN when one is. */
function extreme(values: Float32Array, start: number): number {
  let found = 0;
  let magnitude = 0;
  for (let i = start; i < start + blockLength; i++) {
    const size = Math.abs(values[i]!);
    if (Number.isNaN(size)) return size;
    if (size > magnitude) {
      magnitude = size;
      found = values[i]!;
    }
  }
  return found;
}

const ggmlBytes = { Q8_0: 34, Q4_0: 18 } as const;
export const bitsOfBlocks = { Q8_0: 8, Q4_0: 4 } as const;

/** The same bytes from GGML's blocks: a float16 scale and then its numbers, signed in 8 bits, halves of the block in 4. */
export function* repack({ type, read }: QuantizedBlocks, shape: readonly number[]) {
  const size = ggmlBytes[type];
  const scales = new Float32Array(shape.reduce((count, size) => count * size, 1) / blockLength);
  let block = 0;
  for (const stored of read()) {
    const count = stored.length / size;
    const codes = new Uint16Array(count);
    const numbers = new Uint8Array(count * (size - 2));
    for (let b = 0; b < count; b++) {
      const from = b * size;
      const to = b * (size - 2);
      codes[b] = stored[from]! | (stored[from + 1]! << 8);
      if (type === "Q8_0") {
        for (let i = 0; i < 32; i++) numbers[to + i] = stored[from + 2 + i]! ^ 0x80;
      } else {
        for (let i = 0; i < 16; i++) {
          const value = (at: number) =>
            at < 16 ? stored[from + 2 + at]! & 15 : stored[from + 2 + at - 16]! >> 4;
          numbers[to + i] = value(2 * i) | (value(2 * i + 1) << 4);
        }
      }
    }
    scales.set(float16ToFloat32(codes), block);
    block += count;
    yield numbers;
  }
  yield new Uint8Array(scales.buffer);
}
