import {
  type Bindings,
  evaluateDim,
  formatShape,
  type Program,
  type Shape,
} from "../graph/index.js";
import type { HostTensor } from "./engine.js";

/**
 * Values of the symbolic dimensions, from the shapes of the inputs. Throws when an input is
 * missing, unknown, or does not have the program's shape.
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
  for (const [name, { shape }] of program.inputs) expectShape(name, shape, inputs[name]!, bindings);
  return bindings;
}

const isSymbol = (text: string) => /^[A-Za-z]\w*$/.test(text);

function expectShape(name: string, shape: Shape, given: HostTensor, bindings: Bindings): void {
  const wanted = shape.map((dim) => evaluateDim(dim, bindings));
  const count = wanted.reduce((a, b) => a * b, 1);
  if (wanted.join() !== given.shape.join() || given.data.length !== count) {
    const got = `[${given.shape.join(", ")}] with ${given.data.length} values`;
    throw new Error(`input ${name} must have shape ${formatShape(shape)}, got ${got}`);
  }
}
