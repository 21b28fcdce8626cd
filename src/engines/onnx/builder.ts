import { create, toBinary } from "@bufbuild/protobuf";
import type { Bindings, DType, FileRegion, Shape } from "../../graph/index.js";
import { evaluateDim, sameDim } from "../../graph/index.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx_pb.js";

/** ONNX element types (TensorProto.DataType). Graph integers are int64 inside ONNX, which its operators want. */
export const elementType = { float32: 1, int32: 7, bool: 9, float16: 10, bfloat16: 16 } as const;
const hostInteger = 6;

export type AttributeValue = number | string | readonly number[] | Subgraph | { float: number };

/** The body of a control-flow operator; it may use names of the graph around it. */
export interface Subgraph {
  readonly nodes: NodeProto[];
  readonly inputs: ValueInfoProto[];
  readonly outputs: ValueInfoProto[];
}

/** Integers that depend on the symbolic dimensions; the host computes and feeds them at each run. */
export interface RuntimeIntegers {
  readonly name: string;
  readonly scalar: boolean;
  evaluate(bindings: Bindings): number[];
}

export interface BuiltModel {
  readonly bytes: Uint8Array;
  readonly runtimeIntegers: readonly RuntimeIntegers[];
  /** Files that hold weights, by absolute path. */
  readonly weightFiles: ReadonlySet<string>;
}

const opset = 21;
const irVersion = 10n;
export const microsoft = "com.microsoft";

/** Collects the nodes, initializers, inputs and outputs of one ONNX model. */
export class ModelBuilder {
  #nodes: NodeProto[] = [];
  readonly #widenings: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #constants = new Map<string, string>();
  readonly #runtimeIntegers = new Map<string, RuntimeIntegers>();
  readonly #weightFiles = new Set<string>();
  #counter = 0;
  #owner = "";

  /** Nodes emitted from now on are named for this one of the program, which a profile goes by. */
  startNode(id: number): void {
    this.#owner = `${id}`;
  }

  #nodeName(opType: string): string {
    return `${this.#owner}:${opType}#${this.#counter++}`;
  }

  fresh(): string {
    return `%${this.#counter++}`;
  }

  /** Adds a node and returns the name of its first output; `outputs` may name them. */
  emit(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    options: { outputs?: readonly string[]; domain?: string } = {},
  ): string {
    const output = options.outputs ?? [this.fresh()];
    const attribute = Object.entries(attributes).map(([name, value]) => toAttribute(name, value));
    const name = this.#nodeName(opType);
    const node = { opType, input: [...inputs], output: [...output], attribute, name };
    this.#nodes.push(create(NodeProtoSchema, { ...node, domain: options.domain ?? "" }));
    return output[0]!;
  }

  /**
   * A half-precision weight as float32, for one use. ONNX Runtime walks the graph back from its
   * outputs and, of a node's inputs, finishes the one that stands later in the file first. Standing
   * first in the file, a widening runs right before the product that needs it; anywhere else, all of
   * them run at the start and the whole model lies in memory as float32.
   */
  widen(weight: string): string {
    const output = this.fresh();
    const attribute = [toAttribute("to", elementType.float32)];
    const node = { opType: "Cast", input: [weight], output: [output], attribute };
    this.#widenings.push(create(NodeProtoSchema, { ...node, name: this.#nodeName("Cast") }));
    return output;
  }

  /** Builds a subgraph: what `build` emits becomes its body. */
  subgraph(inputs: readonly ValueInfoProto[], build: () => readonly ValueInfoProto[]): Subgraph {
    const outer = { nodes: this.#nodes, owner: this.#owner };
    const nodes: NodeProto[] = [];
    this.#nodes = nodes;
    this.#owner = `body of ${outer.owner}`;
    try {
      const outputs = build();
      return { nodes, inputs: [...inputs], outputs: [...outputs] };
    } finally {
      this.#nodes = outer.nodes;
      this.#owner = outer.owner;
    }
  }

  /** An input of the model; integers arrive as int32 and are widened once. */
  input(name: string, shape: Shape, dtype: DType): string {
    if (dtype !== "int32") {
      this.#inputs.push(valueInfo(name, shape, elementType[dtype]));
      return name;
    }
    this.#inputs.push(valueInfo(name, shape, hostInteger));
    return this.emit("Cast", [name], { to: elementType.int32 });
  }

  /** Makes a value an output of the model under this name; integers leave as int32. */
  output(name: string, value: string, shape: Shape, dtype: DType): void {
    if (dtype === "int32") this.emit("Cast", [value], { to: hostInteger }, { outputs: [name] });
    else if (value !== name) this.emit("Identity", [value], {}, { outputs: [name] });
    this.#outputs.push(
      valueInfo(name, shape, dtype === "int32" ? hostInteger : elementType[dtype]),
    );
  }

  /** A frozen weight in its file: ONNX external data, which ONNX Runtime maps into memory. */
  weight(name: string, shape: Shape, dtype: DType, region: FileRegion, location: string): string {
    this.#weightFiles.add(region.file);
    const externalData = [
      { key: "location", value: location },
      { key: "offset", value: String(region.offset) },
      { key: "length", value: String(region.byteLength) },
    ];
    const dims = shape.map((dim) => BigInt(dim as number));
    const dataType = elementType[dtype];
    this.#initializers.push(
      create(TensorProtoSchema, { name, dims, dataType, dataLocation: 1, externalData }),
    );
    return name;
  }

  floats(values: Float32Array | number, dims: readonly number[] = []): string {
    const data = typeof values === "number" ? Float32Array.of(values) : values;
    return this.#constant(elementType.float32, bytesOf(data), dims);
  }

  integers(values: readonly number[] | number): string {
    const list = typeof values === "number" ? [values] : values;
    const data = BigInt64Array.from(list, BigInt);
    return this.#constant(
      elementType.int32,
      bytesOf(data),
      typeof values === "number" ? [] : [list.length],
    );
  }

  integerTensor(values: Int32Array, dims: readonly number[]): string {
    return this.#constant(elementType.int32, bytesOf(BigInt64Array.from(values, BigInt)), dims);
  }

  #constant(dataType: number, rawData: Uint8Array, dims: readonly number[]): string {
    const small = rawData.length <= 64;
    const key = `${dataType}[${dims.join()}]${Buffer.from(rawData).toString("hex")}`;
    const known = small ? this.#constants.get(key) : undefined;
    if (known !== undefined) return known;
    const name = this.fresh();
    if (small) this.#constants.set(key, name);
    this.#initializers.push(
      create(TensorProtoSchema, { name, dataType, dims: dims.map(BigInt), rawData }),
    );
    return name;
  }

  /** Integers known only at run time, as a model input that the host fills. */
  runtimeIntegers(
    key: string,
    scalar: boolean,
    evaluate: (b: Bindings) => number[],
    count = 1,
  ): string {
    const name = `host:${key}`;
    if (!this.#runtimeIntegers.has(name)) {
      this.#runtimeIntegers.set(name, { name, scalar, evaluate });
      this.#inputs.push(valueInfo(name, scalar ? [] : [count], elementType.int32));
    }
    return name;
  }

  /** A shape as an int64 vector: a constant when it is fixed, else fed by the host. */
  shape(shape: Shape): string {
    if (shape.every((dim) => typeof dim === "number")) return this.integers(shape as number[]);
    const key = shape.map((dim) => (typeof dim === "number" ? dim : dim.text)).join(",");
    const evaluate = (b: Bindings) => shape.map((dim) => evaluateDim(dim, b));
    return this.runtimeIntegers(key, false, evaluate, shape.length);
  }

  /**
   * The argument of Reshape from one shape to another: 0 copies a dimension and −1 infers one, so
   * that most symbolic shapes need nothing from the host.
   */
  reshapeArgument(from: Shape, to: Shape): string {
    const entries = to.map((dim, axis) => {
      if (typeof dim === "number") return dim;
      return axis < from.length && sameDim(dim, from[axis]!) ? 0 : -1;
    });
    const inferred = entries.filter((entry) => entry === -1).length;
    return inferred <= 1 ? this.integers(entries) : this.shape(to);
  }

  build(): BuiltModel {
    const graph = create(GraphProtoSchema, {
      name: "facet",
      node: [...this.#widenings, ...this.#nodes],
      initializer: this.#initializers,
      input: this.#inputs,
      output: this.#outputs,
    });
    const opsetImport = [
      { domain: "", version: BigInt(opset) },
      { domain: microsoft, version: 1n },
    ];
    const model = create(ModelProtoSchema, {
      irVersion,
      producerName: "facet",
      graph,
      opsetImport,
    });
    return {
      bytes: toBinary(ModelProtoSchema, model),
      runtimeIntegers: [...this.#runtimeIntegers.values()],
      weightFiles: this.#weightFiles,
    };
  }
}

const bytesOf = (view: ArrayBufferView) =>
  new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

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

function toAttribute(name: string, value: AttributeValue): AttributeProto {
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
