import { addDims, type Dim, elementCount, multiplyDims } from "./dim.js";
import type { DType, Node, Tensor } from "./tensor.js";

/** What a node must do at the least, whatever the engine; symbolic, as its shapes are. */
export interface Cost {
  /** Floating-point operations of matrix products. */
  readonly flops: Dim;
  /** Bytes that it reads and writes, each once. */
  readonly bytes: Dim;
}

const elementBytes: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  // A block's scale, 4 bytes, is shared by 32 values.
  q8: 1.125,
  q4: 0.625,
  int32: 4,
  bool: 1,
};

const bytesOf = ({ shape, dtype }: Tensor): Dim =>
  multiplyDims(elementCount(shape), elementBytes[dtype]);

/** `isUsed` tells whether anybody reads an output; what nobody reads is not written. */
export function costOf(node: Node, isUsed: (output: Tensor) => boolean): Cost {
  const { operation, inputs, outputs } = node;
  const all = () => [...inputs, ...outputs.filter(isUsed)].map(bytesOf).reduce<Dim>(addDims, 0);
  return { flops: operation.flops?.(node) ?? 0, bytes: operation.bytes?.(node) ?? all() };
}
