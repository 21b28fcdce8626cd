import { type Activations, isQuantized, type Node, type Tensor } from "../../graph/index.js";
import type { ModelBuilder } from "./builder.js";
import { dequantize } from "./quantized.js";
import { elementType } from "./values.js";

/** What a lowering is given: the node, the ONNX names of its inputs and wanted outputs. */
export interface LoweringContext {
  readonly node: Node;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whether anybody uses output i. */
  readonly used: readonly boolean[];
  readonly model: ModelBuilder;
  readonly activations: Activations;
}

export type Lowering = (context: LoweringContext) => void;

/** The operand in float32: a weight stored in fewer bits is widened at each use, not kept. */
export function asFloat32(model: ModelBuilder, tensor: Tensor, name: string): string {
  if (tensor.dtype === "float32") return name;
  if (isQuantized(tensor)) return dequantize(model, tensor);
  return model.widen("Cast", [name], { to: elementType.float32 });
}
