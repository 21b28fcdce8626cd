import type { Shape } from "./dim.js";
import { apply1, type DType, type Operation, type Tensor } from "./tensor.js";

/** Where the bytes of a frozen weight lie: a region of a file, mapped rather than read. */
export interface FileRegion {
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

const source = (name: string): Operation => ({
  name,
  infer: (_, attributes) => [
    { shape: attributes.shape as Shape, dtype: attributes.dtype as DType },
  ],
});

const inputOperation = source("input");
const weightOperation = source("weight");
const constantOperation = source("constant");

/** A value given anew at every run: a batch, or a trainable parameter. */
export function input(name: string, shape: Shape, dtype: DType = "float32"): Tensor {
  return apply1(inputOperation, [], { name, shape, dtype });
}

/** A frozen weight whose bytes stay in its file. */
export function weight(name: string, shape: Shape, dtype: DType, region: FileRegion): Tensor {
  return apply1(weightOperation, [], { name, shape, dtype, region });
}

/** Values that share a scale in a weight of type "q8" or "q4". */
export const quantizedBlock = 32;

/** Where the parts of a block-quantised weight lie. */
export interface QuantizedRegions {
  /**
   * An unsigned number of 8 or 4 bits for each value, row-major, the earlier of two in the lower half of a byte; 128 or 8
   * stands for zero.
   */
  readonly values: FileRegion;
  /** A float32 for each block of 32 values of a row; value = scale · (number − zero). */
  readonly scales: FileRegion;
}

/** A frozen matrix `[rows, columns]`, columns a multiple of 32, in 8 or 4 bits a value. */
export function quantizedWeight(
  name: string,
  shape: readonly [number, number],
  dtype: "q8" | "q4",
  { values, scales }: QuantizedRegions,
): Tensor {
  if (shape[1] % quantizedBlock !== 0) {
    throw new Error(`${name}: rows of ${shape[1]} are not whole blocks of ${quantizedBlock}`);
  }
  return apply1(weightOperation, [], { name, shape, dtype, region: values, scales });
}

export const isQuantized = ({ dtype }: Tensor): boolean => dtype === "q8" || dtype === "q4";

/** A value known when the graph is built. */
export function constant(
  data: number | Float32Array | Int32Array,
  shape: readonly number[] = [],
): Tensor {
  const dtype = data instanceof Int32Array ? "int32" : "float32";
  const values = typeof data === "number" ? Float32Array.of(data) : data;
  const expected = shape.reduce((a, b) => a * b, 1);
  if (values.length !== expected) {
    throw new Error(`constant: ${values.length} values for shape [${shape.join(", ")}]`);
  }
  return apply1(constantOperation, [], { values, shape, dtype });
}

export const isInput = (tensor: Tensor): boolean => tensor.node.operation === inputOperation;

/** A number where a tensor is expected becomes a scalar constant. */
export const asTensor = (value: Tensor | number): Tensor =>
  typeof value === "number" ? constant(value) : value;
