import { type Dim, formatShape, type Shape } from "./dim.js";

/**
 * "bfloat16" and "float16" are storage types of frozen weights, and so are "q8" and "q4": rows of blocks of 32 values in
 * 8 or 4 bits with a scale each (`quantizedWeight`). Arithmetic is in float32.
 */
export type DType = "float32" | "float16" | "bfloat16" | "q8" | "q4" | "int32" | "bool";

/** A symbolic value: one output of a node. It has a shape and a type, and no data. */
export interface Tensor {
  readonly node: Node;
  readonly index: number;
  readonly shape: Shape;
  readonly dtype: DType;
}

export type Attribute = unknown;

/** One application of an operation. Nodes are numbered in the order of their creation. */
export interface Node {
  readonly id: number;
  readonly operation: Operation;
  readonly inputs: readonly Tensor[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly Tensor[];
  /** The activation-checkpointing block this node was built in, if any. */
  readonly block: number | undefined;
  /** Whether automatic differentiation made it: a gradient, or a value computed again for one. */
  readonly backward: boolean;
}

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** What a gradient rule is given: the node and the gradients of its outputs. */
export interface GradientContext {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Gradient of the loss with respect to each output; undefined where the loss does not use it. */
  readonly outputGradients: readonly (Tensor | undefined)[];
  /** Whether anybody needs the gradient of input i; rules skip the others. */
  readonly needs: readonly boolean[];
}

/** An operation: its shape rule and its derivative, side by side. */
export interface Operation {
  readonly name: string;
  /** Types of the outputs; throws an Error with a plain sentence when the inputs do not fit. */
  infer(inputs: readonly Tensor[], attributes: Readonly<Record<string, Attribute>>): TensorType[];
  /** Gradients of the inputs, undefined where there is none. Absent: not differentiable. */
  gradient?(context: GradientContext): (Tensor | undefined)[];
  /** A composite operation in terms of primitive ones, for an engine that has no kernel for it. */
  expand?(
    inputs: readonly Tensor[],
    attributes: Readonly<Record<string, Attribute>>,
  ): readonly Tensor[];
  /** Floating-point operations of its matrix products, a multiply-add as two; absent: none. */
  flops?(node: Node): Dim;
  /** Bytes it reads and writes; absent: those of its inputs and outputs. */
  bytes?(node: Node): Dim;
}

type Place = Pick<Node, "block" | "backward">;

let nextId = 0;
let current: Place = { block: undefined, backward: false };

/** Applies an operation; a shape error names the operation and the shapes it was given. */
export function apply(
  operation: Operation,
  inputs: readonly Tensor[],
  attributes: Record<string, Attribute> = {},
): readonly Tensor[] {
  let types: TensorType[];
  try {
    types = operation.infer(inputs, attributes);
  } catch (error) {
    const shapes = inputs.map((t) => `${t.dtype}${formatShape(t.shape)}`).join(", ");
    throw new Error(`${operation.name}(${shapes}): ${(error as Error).message}`);
  }
  const outputs: Tensor[] = [];
  const id = nextId++;
  const node: Node = { id, operation, inputs, attributes, outputs, ...current };
  types.forEach((type, index) => {
    outputs.push({ node, index, ...type });
  });
  return outputs;
}

/** Applies an operation with one output. */
export function apply1(
  operation: Operation,
  inputs: readonly Tensor[],
  attributes: Record<string, Attribute> = {},
): Tensor {
  return apply(operation, inputs, attributes)[0]!;
}

/** What `build` builds belongs to this place of the graph. */
export function within<T>(place: Partial<Place>, build: () => T): T {
  const outer = current;
  const { block, backward } = { ...outer, ...place };
  current = { block, backward };
  try {
    return build();
  } finally {
    current = outer;
  }
}

let nextBlock = 0;

/**
 * Builds part of a graph whose intermediate values the backward pass recomputes from the part's
 * inputs instead of keeping them (activation checkpointing, Chen et al. 2016, arXiv:1604.06174).
 */
export const checkpointed = <T>(build: () => T): T => within({ block: nextBlock++ }, build);

export function expectFloat(...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    if (tensor.dtype !== "float32") throw new Error(`expected float32, got ${tensor.dtype}`);
  }
}
