import { formatShape, sameShape } from "./dim.js";
import { add } from "./elementwise.js";
import { barrier } from "./layout.js";
import { constant } from "./sources.js";
import { apply, type Node, type Tensor, within } from "./tensor.js";

/**
 * Gradients of a scalar with respect to `parameters`, added to the graph (reverse mode).
 *
 * Only what lies between a parameter and the loss is differentiated: nothing below the lowest
 * adapter, no gradient of a frozen weight. Nodes built inside `checkpointed` are computed again
 * from their block's inputs instead of being kept.
 */
export const gradients = (loss: Tensor, parameters: readonly Tensor[]): Tensor[] =>
  within({ backward: true }, () => backpropagate(loss, parameters));

function backpropagate(loss: Tensor, parameters: readonly Tensor[]): Tensor[] {
  if (loss.shape.length > 0) {
    throw new Error(`the loss must be a scalar, not ${formatShape(loss.shape)}`);
  }
  const order = nodesBefore(loss);
  const reaching = new Set(parameters.map((parameter) => parameter.node));
  for (const node of order) {
    if (node.inputs.some((input) => reaching.has(input.node))) reaching.add(node);
  }
  const gradientOf = new Map<Tensor, Tensor>([[loss, constant(1)]]);
  const recompute = recomputation(order);

  for (const node of order.toReversed()) {
    const outputGradients = node.outputs.map((output) => gradientOf.get(output));
    const first = outputGradients.find((gradient) => gradient !== undefined);
    if (first === undefined || !reaching.has(node) || node.inputs.length === 0) continue;
    const { operation, attributes } = node;
    if (operation.gradient === undefined) throw new Error(`${operation.name} has no gradient`);
    const needs = node.inputs.map((input) => reaching.has(input.node));
    const values = recompute(node, first);
    const inputGradients = operation.gradient({ ...values, attributes, outputGradients, needs });
    node.inputs.forEach((input, i) => {
      const gradient = inputGradients[i];
      if (gradient === undefined || !needs[i]) return;
      const sum = gradientOf.get(input);
      gradientOf.set(input, sum === undefined ? gradient : add(sum, gradient));
    });
  }
  return parameters.map((parameter) => {
    const gradient = gradientOf.get(parameter);
    if (gradient === undefined) {
      throw new Error(
        `the loss does not depend on parameter ${String(parameter.node.attributes.name)}`,
      );
    }
    return gradient;
  });
}

/** Every node that `tensor` depends on, in the order of creation, which is a topological one. */
export function nodesBefore(...tensors: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const pending = tensors.map((tensor) => tensor.node);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) pending.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

type Values = Pick<Node, "inputs" | "outputs">;

/**
 * The values a gradient rule may use: the node's own, or, in a checkpointed block, copies computed
 * again from the block's inputs, not before the gradient of the block's output has arrived.
 */
function recomputation(order: readonly Node[]): (node: Node, arrived: Tensor) => Values {
  const blocks = new Map<number, Map<Tensor, Tensor>>();
  return (node, arrived) => {
    if (node.block === undefined) return node;
    let copies = blocks.get(node.block);
    if (copies === undefined) {
      copies = copyBlock(
        order.filter((other) => other.block === node.block && other.inputs.length > 0),
        arrived,
      );
      blocks.set(node.block, copies);
    }
    const copyOf = (tensor: Tensor) => copies.get(tensor) ?? tensor;
    return { inputs: node.inputs.map(copyOf), outputs: node.outputs.map(copyOf) };
  };
}

function copyBlock(nodes: readonly Node[], arrived: Tensor): Map<Tensor, Tensor> {
  const inside = new Set(nodes);
  const copies = new Map<Tensor, Tensor>();
  const entering = (tensor: Tensor) => {
    const isActivation = tensor.node.inputs.length > 0 && sameShape(tensor.shape, arrived.shape);
    return isActivation ? barrier(tensor, arrived) : tensor;
  };
  for (const node of nodes) {
    for (const input of node.inputs) {
      if (!copies.has(input) && !inside.has(input.node)) copies.set(input, entering(input));
    }
    const inputs = node.inputs.map((input) => copies.get(input)!);
    // The attribute tells common-subexpression elimination that this copy is meant.
    const outputs = apply(node.operation, inputs, { ...node.attributes, recomputed: node.block });
    node.outputs.forEach((output, i) => {
      copies.set(output, outputs[i]!);
    });
  }
  return copies;
}
