import { nodesBefore } from "./autodiff.js";
import { isInput } from "./sources.js";
import { apply, type Node, type Tensor, within } from "./tensor.js";

/** A graph ready for an engine: nodes in execution order, named inputs and outputs. */
export interface Program {
  readonly nodes: readonly Node[];
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly activations: Activations;
}

/**
 * What a product with a "q8" or "q4" weight may make of its other operand: nothing, or numbers of 8 bits with a scale for
 * each block of 32, which costs accuracy and is several times faster for a few rows.
 */
export type Activations = "float32" | "int8";

/**
 * The program that computes `outputs`: only the nodes they need (dead code is dropped), and equal
 * nodes only once (common-subexpression elimination).
 */
export function program(
  outputs: Readonly<Record<string, Tensor>>,
  { activations = "float32" }: { readonly activations?: Activations } = {},
): Program {
  const replaced = new Map<Tensor, Tensor>();
  const byKey = new Map<string, Node>();
  const current = (tensor: Tensor) => replaced.get(tensor) ?? tensor;

  for (const node of nodesBefore(...Object.values(outputs))) {
    const inputs = node.inputs.map(current);
    const key = keyOf(node, inputs);
    let same = byKey.get(key);
    if (same === undefined) {
      const changed = inputs.some((input, i) => input !== node.inputs[i]);
      same = changed ? withInputs(node, inputs) : node;
      byKey.set(key, same);
    }
    if (same !== node) {
      node.outputs.forEach((output, i) => {
        replaced.set(output, same.outputs[i]!);
      });
    }
  }
  const results = new Map(Object.entries(outputs).map(([name, tensor]) => [name, current(tensor)]));
  const nodes = nodesBefore(...results.values());
  return { nodes, inputs: namedInputs(nodes), outputs: results, activations };
}

const withInputs = (node: Node, inputs: readonly Tensor[]): Node =>
  within(node, () => apply(node.operation, inputs, node.attributes)[0]!.node);

function keyOf(node: Node, inputs: readonly Tensor[]): string {
  const large = node.attributes.values;
  if (ArrayBuffer.isView(large) && large.byteLength > 64) return `#${node.id}`;
  const operands = inputs.map((tensor) => `${tensor.node.id}.${tensor.index}`).join(",");
  return `${node.operation.name}(${operands})${JSON.stringify(node.attributes, writable)}`;
}

/** Attributes as JSON: typed arrays and symbolic dimensions have no useful form of their own. */
function writable(_key: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value))
    return [...(value as Float32Array)].map((x) => (Object.is(x, -0) ? "-0" : `${x}`));
  const text = (value as { text?: string } | null)?.text;
  return text ?? value;
}

function namedInputs(nodes: readonly Node[]): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>();
  for (const node of nodes) {
    const tensor = node.outputs[0]!;
    if (!isInput(tensor)) continue;
    const name = node.attributes.name as string;
    if (inputs.has(name)) throw new Error(`two different inputs are named ${name}`);
    inputs.set(name, tensor);
  }
  return inputs;
}
