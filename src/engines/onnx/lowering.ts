import type { Node, Tensor } from "../../graph/index.js";
import type { ModelBuilder } from "./builder.js";

/** What a lowering is given: the node, the ONNX names of its inputs and wanted outputs. */
export interface LoweringContext {
  readonly node: Node;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whether anybody uses output i. */
  readonly used: readonly boolean[];
  readonly model: ModelBuilder;
}

export type Lowering = (context: LoweringContext) => void;

/** The operand in float32: a weight stored in half precision is widened at each use, not kept. */
export function asFloat32(model: ModelBuilder, tensor: Tensor, name: string): string {
  return tensor.dtype === "float32" ? name : model.widen(name);
}
