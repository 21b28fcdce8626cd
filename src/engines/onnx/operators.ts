import {
  addDims,
  type Dim,
  elementCount,
  isQuantized,
  type Node,
  type Shape,
  type Tensor,
  uniformModulus,
  uniformRounds,
} from "../../graph/index.js";
import { lowerCausalAttention, lowerCausalAttentionGradient } from "./attention.js";
import { microsoft } from "./builder.js";
import { lowerCrossEntropy } from "./crossEntropy.js";
import { asFloat32, type Lowering } from "./lowering.js";
import { dequantize, dequantizeRows, quantizedProduct } from "./quantized.js";
import { elementType } from "./values.js";

const direct =
  (opType: string): Lowering =>
  ({ inputs, outputs, model }) => {
    model.emit(opType, inputs, {}, { outputs });
  };

const reduction =
  (opType: string): Lowering =>
  ({ node, inputs, outputs, model }) => {
    const axes = model.integers(node.attributes.axes as number[]);
    model.emit(opType, [inputs[0]!, axes], { keepdims: 1 }, { outputs });
  };

const lowerMatmul: Lowering = ({ node, inputs, outputs, model, activations }) => {
  const [a, b] = node.inputs as [Tensor, Tensor];
  if (activations === "int8" && isPlainLinear(node)) {
    quantizedProduct(model, inputs[0]!, b, outputs);
    return;
  }
  const operands = [asFloat32(model, a, inputs[0]!), asFloat32(model, b, inputs[1]!)];
  const { transposeA, transposeB, scale } = node.attributes;
  const transA = Number(transposeA);
  const transB = Number(transposeB);
  const alpha = { float: scale as number };
  if (a.shape.length === 2 && b.shape.length === 2) {
    model.emit("Gemm", operands, { transA, transB, alpha }, { outputs });
  } else {
    const domain = microsoft;
    model.emit("FusedMatMul", operands, { transA, transB, alpha }, { outputs, domain });
  }
};

/** x Wᵀ of matrices with a block-quantised W. */
const isPlainLinear = ({ inputs: [a, b], attributes }: Node) =>
  isQuantized(b!) &&
  a!.shape.length === 2 &&
  attributes.transposeB === true &&
  attributes.transposeA === false &&
  attributes.scale === 1;

const lowerReshape: Lowering = ({ node, inputs, outputs, model }) => {
  const shape = model.reshapeArgument(node.inputs[0]!.shape, node.attributes.shape as Shape);
  model.emit("Reshape", [inputs[0]!, shape], {}, { outputs });
};

const lowerScatterAddRows: Lowering = ({ node, inputs, outputs, model }) => {
  const [values, indices] = node.inputs as [Tensor, Tensor];
  const shape = node.outputs[0]!.shape;
  const count = elementCount(indices.shape);
  const flat = model.reshapeArgument(values.shape, [count, shape[1]!]);
  const rows = model.emit("Reshape", [inputs[0]!, flat]);
  const at = model.emit("Reshape", [inputs[1]!, model.integers([-1, 1])]);
  const zeros = model.emit("ConstantOfShape", [model.shape(shape)]);
  model.emit("ScatterND", [zeros, at, rows], { reduction: "add" }, { outputs });
};

/** Counter-based random numbers in 64-bit integers; see the operation for the formula. */
const lowerUniform: Lowering = ({ node, inputs, outputs, model }) => {
  const { shape } = node.outputs[0]!;
  const stream = node.attributes.stream as number;
  const modulus = model.integers(uniformModulus);
  const multiply = (a: string, b: string) => model.emit("Mul", [a, b]);
  const add = (a: string, b: string) => model.emit("Add", [a, b]);
  const reduce = (x: string) => model.emit("Mod", [x, modulus]);
  const count = model.emit("Squeeze", [model.shape([elementCount(shape)])]);
  const counter = model.emit("Range", [model.integers(0), count, model.integers(1)]);
  const offset = add(
    multiply(inputs[0]!, model.integers(7919)),
    model.integers(stream * 1327217885),
  );
  let x = reduce(add(counter, offset));
  for (const { multiplier, increment } of uniformRounds) {
    // x² + m·x + c = x·(x + m) + c, below 2⁶³ for x below 2³¹.
    const product = multiply(x, add(x, model.integers(multiplier)));
    x = reduce(add(product, model.integers(increment)));
  }
  const unit = model.emit("Div", [
    model.emit("Cast", [x], { to: elementType.float32 }),
    model.floats(uniformModulus + 1),
  ]);
  model.emit("Reshape", [unit, model.shape(shape)], {}, { outputs });
};

/** How each operation of the graph is written in ONNX. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  add: direct("Add"),
  subtract: direct("Sub"),
  multiply: direct("Mul"),
  divide: direct("Div"),
  negate: direct("Neg"),
  exp: direct("Exp"),
  log: direct("Log"),
  sqrt: direct("Sqrt"),
  tanh: direct("Tanh"),
  sigmoid: direct("Sigmoid"),
  stopGradient: direct("Identity"),
  lessOrEqual: direct("LessOrEqual"),
  select: direct("Where"),
  sum: reduction("ReduceSum"),
  mean: reduction("ReduceMean"),
  matmul: lowerMatmul,
  reshape: lowerReshape,
  scatterAddRows: lowerScatterAddRows,
  causalAttention: lowerCausalAttention,
  causalAttentionGradient: lowerCausalAttentionGradient,
  crossEntropy: lowerCrossEntropy,
  uniform: lowerUniform,
  cast: ({ node, inputs, outputs, model }) => {
    const [x] = node.inputs as [Tensor];
    if (isQuantized(x)) model.emit("Identity", [dequantize(model, x)], {}, { outputs });
    else model.emit("Cast", inputs, { to: elementType.float32 }, { outputs });
  },
  transpose: ({ node, inputs, outputs, model }) => {
    model.emit("Transpose", inputs, { perm: node.attributes.permutation as number[] }, { outputs });
  },
  broadcast: ({ node, inputs, outputs, model }) => {
    model.emit("Expand", [inputs[0]!, model.shape(node.outputs[0]!.shape)], {}, { outputs });
  },
  concat: ({ node, inputs, outputs, model }) => {
    model.emit("Concat", inputs, { axis: node.attributes.axis as number }, { outputs });
  },
  slice: ({ node, inputs, outputs, model }) => {
    const { axis, start, size } = node.attributes as { axis: number; start: Dim; size: Dim };
    const ends = model.shape([addDims(start, size)]);
    const places = [model.shape([start]), ends, model.integers([axis])];
    model.emit("Slice", [inputs[0]!, ...places], {}, { outputs });
  },
  barrier: ({ inputs, outputs, model }) => {
    const shape = model.emit("Shape", [inputs[1]!]);
    model.emit("Reshape", [inputs[0]!, shape], {}, { outputs });
  },
  gatherRows: ({ node, inputs, outputs, model }) => {
    const [table] = node.inputs as [Tensor];
    if (isQuantized(table)) dequantizeRows(model, table, inputs[1]!, outputs);
    else if (table.dtype === "float32") {
      model.emit("Gather", inputs, { axis: 0 }, { outputs });
    } else {
      const rows = model.emit("Gather", inputs, { axis: 0 });
      model.emit("Cast", [rows], { to: elementType.float32 }, { outputs });
    }
  },
  softmax: ({ inputs, outputs, model }) => {
    model.emit("Softmax", inputs, { axis: -1 }, { outputs });
  },
  gelu: ({ inputs, outputs, model }) => {
    model.emit("Gelu", inputs, { approximate: "tanh" }, { outputs });
  },
  rmsNorm: ({ node, inputs, outputs, used, model }) => {
    const epsilon = { float: node.attributes.epsilon as number };
    const kept = used[1] ? outputs : outputs.slice(0, 1);
    model.emit("SimplifiedLayerNormalization", inputs, { axis: -1, epsilon }, { outputs: kept });
  },
  rope: ({ inputs, outputs, model }) => {
    model.emit("RotaryEmbedding", inputs, { interleaved: 0 }, { outputs, domain: microsoft });
  },
};
