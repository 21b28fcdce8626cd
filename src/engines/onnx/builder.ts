import { relative } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Bindings, DType, FileRegion, Shape } from "../../graph/index.js";
import { evaluateDim, sameDim } from "../../graph/index.js";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
} from "./onnx_pb.js";
import {
  type AttributeValue,
  elementType,
  hostInteger,
  type Subgraph,
  toAttribute,
  valueInfo,
  valueType,
} from "./values.js";

/** Where a weight's file has it packed for products: an entry of its external data, as ONNX Runtime writes it. */
export interface PackedLayout {
  readonly key: string;
  readonly value: string;
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
  readonly #shared = new Map<string, string>();
  readonly #runtimeIntegers = new Map<string, RuntimeIntegers>();
  readonly #weights = new Set<string>();
  readonly #weightFiles = new Set<string>();
  readonly #weightFolder: string;
  #counter = 0;
  #owner = "";

  /** `weightFolder` is what the locations of weights are relative to. */
  constructor(weightFolder = "") {
    this.#weightFolder = weightFolder;
  }

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

  /** What `build` gave for this key the first time; it must not depend on a subgraph. */
  shared(key: string, build: () => string): string {
    const known = this.#shared.get(key) ?? build();
    this.#shared.set(key, known);
    return known;
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
   * A node on the way from a stored weight to its float32, for one use. ONNX Runtime walks the graph back from its
   * outputs and, of a node's inputs, finishes the one that stands later in the file first. Standing
   * first in the file, a widening runs right before the product that needs it; anywhere else, all of
   * them run at the start and the whole model lies in memory as float32.
   */
  widen(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue>,
  ): string {
    const output = this.fresh();
    const attribute = Object.entries(attributes).map(([name, value]) => toAttribute(name, value));
    const node = { opType, input: [...inputs], output: [output], attribute };
    this.#widenings.push(create(NodeProtoSchema, { ...node, name: this.#nodeName(opType) }));
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
      this.#inputs.push(valueInfo(name, shape, valueType(dtype)));
      return name;
    }
    this.#inputs.push(valueInfo(name, shape, hostInteger));
    return this.emit("Cast", [name], { to: elementType.int32 });
  }

  /** Makes a value an output of the model under this name; integers leave as int32. */
  output(name: string, value: string, shape: Shape, dtype: DType): void {
    if (dtype === "int32") this.emit("Cast", [value], { to: hostInteger }, { outputs: [name] });
    else if (value !== name) this.emit("Identity", [value], {}, { outputs: [name] });
    this.#outputs.push(valueInfo(name, shape, dtype === "int32" ? hostInteger : valueType(dtype)));
  }

  /**
   * A frozen weight in its file: ONNX external data, which ONNX Runtime maps into memory. The same
   * bytes may be given under several names, in other shapes and types.
   */
  weight(
    name: string,
    shape: Shape,
    type: keyof typeof elementType,
    { file, offset, byteLength }: FileRegion,
    packed: readonly PackedLayout[] = [],
  ): string {
    if (this.#weights.has(name)) return name;
    this.#weights.add(name);
    this.#weightFiles.add(file);
    const externalData = [
      { key: "location", value: relative(this.#weightFolder, file) },
      { key: "offset", value: String(offset) },
      { key: "length", value: String(byteLength) },
      ...packed,
    ];
    const dims = shape.map((dim) => BigInt(dim as number));
    const dataType = elementType[type];
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

  bytes(values: readonly number[]): string {
    return this.#constant(elementType.uint8, Uint8Array.from(values), [values.length]);
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
