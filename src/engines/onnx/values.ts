import { create } from "@bufbuild/protobuf";
import type { DType, Shape } from "../../graph/index.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  type NodeProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx_pb.js";

/** ONNX element types (TensorProto.DataType). Graph integers are int64 inside ONNX, which its operators want. */
export const elementType = {
  float32: 1,
  uint8: 2,
  int32: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
  uint4: 21,
} as const;
export const hostInteger = 6;

export function valueType(dtype: DType): number {
  if (dtype === "q8" || dtype === "q4") throw new Error(`${dtype} is a type of weights in files`);
  return elementType[dtype];
}

export type AttributeValue = number | string | readonly number[] | Subgraph | { float: number };

/** The body of a control-flow operator; it may use names of the graph around it. */
export interface Subgraph {
  readonly nodes: NodeProto[];
  readonly inputs: ValueInfoProto[];
  readonly outputs: ValueInfoProto[];
}

export function valueInfo(
  name: string,
  shape: Shape | undefined,
  elemType: number,
): ValueInfoProto {
  const dim = shape?.map((d) =>
    typeof d === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(d) } }
      : { value: { case: "dimParam" as const, value: d.text } },
  );
  const tensorType = { elemType, ...(dim ? { shape: { dim } } : {}) };
  return create(ValueInfoProtoSchema, { name, type: { tensorType } });
}

/** AttributeProto.AttributeType of each kind of value. */
const [FLOAT, INT, STRING, GRAPH, INTS] = [1, 2, 3, 5, 7];

export function toAttribute(name: string, value: AttributeValue): AttributeProto {
  const attribute = (type: number, field: object) =>
    create(AttributeProtoSchema, { name, type, ...field });
  if (typeof value === "number") return attribute(INT!, { i: BigInt(value) });
  if (typeof value === "string") return attribute(STRING!, { s: new TextEncoder().encode(value) });
  if (Array.isArray(value)) return attribute(INTS!, { ints: value.map(BigInt) });
  if ("float" in value) return attribute(FLOAT!, { f: value.float });
  const { nodes, inputs, outputs } = value as Subgraph;
  const g = create(GraphProtoSchema, { name: "body", node: nodes, input: inputs, output: outputs });
  return attribute(GRAPH!, { g });
}
