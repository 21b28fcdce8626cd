/** A tensor in some file, whatever its format: nothing of it is read until it is asked for. */
export interface StoredTensor {
  /** Sizes of the axes; the last one varies fastest. */
  readonly shape: readonly number[];
  /** The narrowest of these types that holds every value exactly. */
  readonly dtype: "F32" | "F16" | "BF16";
  /**
   * All values as float32, row-major, in pieces of whole rows (the last axis), so that a large
   * tensor need never exist at once. A piece is the receiver's to change.
   */
  read(): Iterable<Float32Array>;
  /** The blocks of 8 or 4 bits that the file has, for those who can use them as they are. */
  readonly blocks?: QuantizedBlocks | undefined;
}

/** GGML's blocks of 32 values (ggml-common.h), in pieces of whole blocks. */
export interface QuantizedBlocks {
  readonly type: "Q8_0" | "Q4_0";
  read(): Iterable<Uint8Array>;
}

/** Values in memory as a stored tensor. */
export const tensorOf = (shape: readonly number[], data: Float32Array): StoredTensor => ({
  shape,
  dtype: "F32",
  *read() {
    const width = Math.max(1, shape.at(-1) ?? 1);
    const piece = Math.max(1, Math.floor(2 ** 20 / width)) * width;
    for (let at = 0; at < data.length; at += piece) yield data.slice(at, at + piece);
  },
});

/** All values of a tensor at once. */
export function readWhole({ shape, read }: StoredTensor): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(shape.reduce((product, size) => product * size, 1));
  let end = 0;
  for (const piece of read()) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}
