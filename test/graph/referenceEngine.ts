import { readFileSync } from "node:fs";
import { bfloat16ToFloat32, float16ToFloat32 } from "../../src/formats/dtypes.js";
import {
  type Bindings,
  evaluateDim,
  type FileRegion,
  type Node,
  type Program,
  type Shape,
  type Tensor,
} from "../../src/graph/index.js";
import { type Array64, reference } from "./referenceOperations.js";

export type { Array64 } from "./referenceOperations.js";

/**
 * Evaluates a program in float64 with plain loops, one operation at a time: the independent truth
 * that derivatives and engines are compared with. Inputs and outputs by name; bools are 0 and 1.
 */
export function evaluateProgram(
  program: Program,
  inputs: Readonly<Record<string, Array64>>,
): Record<string, Array64> {
  const bindings = bind(program, inputs);
  const values = new Map<Tensor, Array64>();
  for (const node of program.nodes) {
    const operands = node.inputs.map((tensor) => values.get(tensor)!);
    const results = evaluateNode(node, operands, inputs, bindings);
    node.outputs.forEach((tensor, i) => {
      const wanted = tensor.shape.map((dim) => evaluateDim(dim, bindings));
      if (wanted.join() !== results[i]!.shape.join()) {
        throw new Error(`${node.operation.name} gave [${results[i]!.shape}], not [${wanted}]`);
      }
      values.set(tensor, results[i]!);
    });
  }
  return Object.fromEntries([...program.outputs].map(([name, t]) => [name, values.get(t)!]));
}

function evaluateNode(
  node: Node,
  operands: readonly Array64[],
  inputs: Readonly<Record<string, Array64>>,
  bindings: Bindings,
): readonly Array64[] {
  const { operation, attributes } = node;
  if (operation.name === "input") return [inputs[attributes.name as string]!];
  if (operation.name === "weight") return [readWeight(node)];
  if (operation.name === "constant") {
    const data = Float64Array.from(attributes.values as Float32Array | Int32Array);
    return [{ data, shape: attributes.shape as number[] }];
  }
  const evaluate = reference[operation.name];
  if (evaluate === undefined) throw new Error(`the reference has no ${operation.name}`);
  const concrete = (shape: Shape) => shape.map((dim) => evaluateDim(dim, bindings));
  return evaluate(operands, attributes, concrete);
}

function bytesOf({ file, offset, byteLength }: FileRegion): ArrayBuffer {
  const bytes = readFileSync(file).subarray(offset, offset + byteLength);
  return Uint8Array.from(bytes).buffer;
}

function readWeight({ attributes, outputs }: Node): Array64 {
  const buffer = bytesOf(attributes.region as FileRegion);
  const { dtype, shape } = outputs[0]!;
  if (dtype === "q8" || dtype === "q4") {
    const scales = new Float32Array(bytesOf(attributes.scales as FileRegion));
    const bytes = new Uint8Array(buffer);
    const number = (i: number) =>
      dtype === "q8" ? bytes[i]! - 128 : ((bytes[i >> 1]! >> (4 * (i & 1))) & 15) - 8;
    // The product is rounded to float32, as weights of every type are float32 in use.
    const data = Float64Array.from({ length: scales.length * 32 }, (_, i) =>
      Math.fround(number(i) * scales[i >> 5]!),
    );
    return { data, shape: shape as number[] };
  }
  const floats =
    dtype === "float32"
      ? new Float32Array(buffer)
      : (dtype === "bfloat16" ? bfloat16ToFloat32 : float16ToFloat32)(new Uint16Array(buffer));
  return { data: Float64Array.from(floats), shape: shape as number[] };
}

/** The symbols' values, from inputs whose dimension is a lone symbol. */
function bind(program: Program, inputs: Readonly<Record<string, Array64>>): Bindings {
  const bindings: Record<string, number> = {};
  for (const [name, { shape }] of program.inputs) {
    const given = inputs[name];
    if (given === undefined) throw new Error(`the reference needs input ${name}`);
    shape.forEach((dim, axis) => {
      if (typeof dim !== "number" && !/[*+]/.test(dim.text)) {
        bindings[dim.text] = given.shape[axis]!;
      }
    });
  }
  return bindings;
}

/** Float32 or int32 data as the reference takes it. */
export const toArray64 = (value: {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}): Array64 => ({ data: Float64Array.from(value.data), shape: value.shape });
