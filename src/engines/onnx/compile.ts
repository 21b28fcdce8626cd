import { closeSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { FacetError } from "../../errors.js";
import type { FileRegion, Node, Program, Tensor } from "../../graph/index.js";
import { type BuiltModel, ModelBuilder, type PackedLayout } from "./builder.js";
import { lowerings } from "./operators.js";

export interface OnnxModel extends BuiltModel {
  /** The folder that weight locations are relative to; undefined without weights in files. */
  readonly weightFolder: string | undefined;
}

/** A copy of a weight in a file that also has it packed for the products of forward and backward pass. */
export interface PackedWeight {
  readonly region: FileRegion;
  readonly packed: readonly PackedLayout[];
}

/** The copies of a program's float32 weights, by their names, and the folder of their files. */
export interface PackedWeights {
  readonly folder: string;
  readonly weights: ReadonlyMap<string, PackedWeight>;
}

/**
 * Writes a program as one ONNX model. Weights stay where they are, as external data; of packed ones
 * their packed copy is used, and what is too small to pack goes into the model.
 */
export function toOnnx(program: Program, packed?: PackedWeights): OnnxModel {
  const weightFolder = packed?.folder ?? folderOfWeights(program);
  const model = new ModelBuilder(weightFolder);
  const names = new Map<Tensor, string>();
  const outputNames = new Map<Tensor, string>();
  for (const [name, tensor] of program.outputs) {
    if (program.inputs.has(name)) throw new Error(`${name} names an input and an output`);
    if (tensor.dtype !== "float32" && tensor.dtype !== "int32") {
      throw new Error(`output ${name} is ${tensor.dtype}; an engine gives float32 and int32`);
    }
    // Inputs, and integers (which are int64 inside ONNX), leave under another name than their own.
    const isOwn = tensor.dtype === "float32" && tensor.node.inputs.length > 0;
    if (isOwn && !outputNames.has(tensor)) outputNames.set(tensor, name);
  }
  const consumed = consumers(program);
  for (const node of program.nodes) {
    model.startNode(node.id);
    const outputs = node.outputs.map((tensor) => outputNames.get(tensor) ?? model.fresh());
    const source = sources[node.operation.name];
    if (source !== undefined) {
      names.set(node.outputs[0]!, source(model, node, packed));
      continue;
    }
    const lowering = lowerings[node.operation.name];
    if (lowering === undefined) throw new Error(`onnx cannot run operation ${node.operation.name}`);
    const inputs = node.inputs.map((tensor) => names.get(tensor)!);
    const used = node.outputs.map((tensor) => consumed.has(tensor));
    lowering({ node, inputs, outputs, used, model, activations: program.activations });
    node.outputs.forEach((tensor, i) => {
      names.set(tensor, outputs[i]!);
    });
  }
  for (const [name, tensor] of program.outputs) {
    model.output(name, names.get(tensor)!, tensor.shape, tensor.dtype);
  }
  return { ...model.build(), weightFolder };
}

type Source = (model: ModelBuilder, node: Node, packed?: PackedWeights) => string;

const sources: Readonly<Record<string, Source>> = {
  input: (model, { attributes, outputs }) =>
    model.input(attributes.name as string, outputs[0]!.shape, outputs[0]!.dtype),
  constant: (model, { attributes, outputs }) => {
    const dims = outputs[0]!.shape as number[];
    const values = attributes.values as Float32Array | Int32Array;
    return values instanceof Int32Array
      ? model.integerTensor(values, dims)
      : model.floats(values, dims);
  },
  weight: (model, { attributes, outputs }, packed) => {
    const name = attributes.name as string;
    const { shape, dtype } = outputs[0]!;
    if (packed !== undefined) {
      const copy = packed.weights.get(name);
      if (copy !== undefined) return model.weight(name, shape, "float32", copy.region, copy.packed);
      return model.floats(valuesOf(attributes.region as FileRegion), shape as number[]);
    }
    // Each use of a block-quantised weight wants its bytes in another shape.
    if (dtype === "q8" || dtype === "q4") return name;
    return model.weight(name, shape, dtype, attributes.region as FileRegion);
  },
};

function valuesOf({ file, offset, byteLength }: FileRegion): Float32Array {
  const values = new Float32Array(byteLength / 4);
  const descriptor = openSync(file, "r");
  try {
    const read = readSync(descriptor, values, 0, byteLength, offset);
    if (read < byteLength) {
      throw new FacetError(`${file} ends inside a weight. It is not whole: get it again.`);
    }
  } finally {
    closeSync(descriptor);
  }
  return values;
}

function consumers(program: Program): Set<Tensor> {
  const consumed = new Set<Tensor>(program.outputs.values());
  for (const node of program.nodes) for (const input of node.inputs) consumed.add(input);
  return consumed;
}

function folderOfWeights(program: Program): string | undefined {
  const folders = new Set<string>();
  for (const node of program.nodes) {
    const region = node.attributes.region as FileRegion | undefined;
    if (region !== undefined) folders.add(dirname(region.file));
  }
  if (folders.size > 1) {
    const list = [...folders].join(" and ");
    throw new FacetError(
      `The model's weight files must lie in one folder, but they are in ${list}.`,
    );
  }
  return [...folders][0];
}
