import {
  type Bindings,
  evaluateDim,
  formatShape,
  type Program,
  type Tensor,
} from "../graph/index.js";
import type { HostTensor } from "./engine.js";

/**
 * Values of the symbolic dimensions, from the shapes of the inputs. Throws when an input is
 * missing, unknown, or does not have the program's shape and type.
 */
export function bindInputs(
  program: Program,
  inputs: Readonly<Record<string, HostTensor>>,
): Bindings {
  for (const name of Object.keys(inputs)) {
    if (!program.inputs.has(name)) throw new Error(`the program has no input ${name}`);
  }
  const bindings: Record<string, number> = {};
  for (const [name, { shape }] of program.inputs) {
    const given = inputs[name];
    if (given === undefined) throw new Error(`input ${name} is missing`);
    shape.forEach((dim, axis) => {
      const length = given.shape[axis];
      if (typeof dim !== "number" && dim.text in bindings === false && isSymbol(dim.text)) {
        if (length !== undefined) bindings[dim.text] = length;
      }
    });
  }
  for (const [name, tensor] of program.inputs) {
    expectFit(`input ${name}`, tensor, inputs[name]!, bindings);
  }
  return bindings;
}

/** Throws when a buffer for an output is for none, or does not have the output's shape and type. */
export function checkOutputs(
  program: Program,
  into: Readonly<Record<string, HostTensor>>,
  bindings: Bindings,
): void {
  for (const [name, buffer] of Object.entries(into)) {
    const tensor = program.outputs.get(name);
    if (tensor === undefined) throw new Error(`the program has no output ${name}`);
    expectFit(`the buffer for output ${name}`, tensor, buffer, bindings);
  }
}

const isSymbol = (text: string) => /^[A-Za-z]\w*$/.test(text);

function expectFit(what: string, tensor: Tensor, given: HostTensor, bindings: Bindings): void {
  const wanted = tensor.shape.map((dim) => evaluateDim(dim, bindings));
  const count = wanted.reduce((a, b) => a * b, 1);
  if (wanted.join() !== given.shape.join() || given.data.length !== count) {
    const got = `[${given.shape.join(", ")}] with ${given.data.length} values`;
    throw new Error(`${what} must have shape ${formatShape(tensor.shape)}, got ${got}`);
  }
  const type = given.data instanceof Float32Array ? "float32" : "int32";
  if (type !== tensor.dtype) throw new Error(`${what} must be ${tensor.dtype}, got ${type}`);
}
