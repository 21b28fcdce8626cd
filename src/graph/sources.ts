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
