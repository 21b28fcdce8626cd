import { broadcastShapes } from "./dim.js";
import { sumTo } from "./reduce.js";
import { asTensor } from "./sources.js";
import {
  apply1,
  expectFloat,
  type GradientContext,
  type Operation,
  type Tensor,
} from "./tensor.js";

type BinaryGradient = (a: Tensor, b: Tensor, dy: Tensor, y: Tensor) => [() => Tensor, () => Tensor];
type UnaryGradient = (x: Tensor, dy: Tensor, y: Tensor) => Tensor;

function binary(name: string, derivative: BinaryGradient): Operation {
  return {
    name,
    infer: ([a, b]) => {
      expectFloat(a!, b!);
      return [{ shape: broadcastShapes(a!.shape, b!.shape), dtype: "float32" }];
    },
    gradient: ({ inputs, outputs, outputGradients, needs }: GradientContext) => {
      const [a, b] = inputs as [Tensor, Tensor];
      const [da, db] = derivative(a, b, outputGradients[0]!, outputs[0]!);
      return [
        needs[0] ? sumTo(da(), a.shape) : undefined,
        needs[1] ? sumTo(db(), b.shape) : undefined,
      ];
    },
  };
}

function unary(name: string, derivative: UnaryGradient): Operation {
  return {
    name,
    infer: ([x]) => {
      expectFloat(x!);
      return [{ shape: x!.shape, dtype: "float32" }];
    },
    gradient: ({ inputs, outputs, outputGradients }) => [
      derivative(inputs[0]!, outputGradients[0]!, outputs[0]!),
    ],
  };
}

const addOperation = binary("add", (_a, _b, dy) => [() => dy, () => dy]);
const subtractOperation = binary("subtract", (_a, _b, dy) => [() => dy, () => negate(dy)]);
const multiplyOperation = binary("multiply", (a, b, dy) => [
  () => multiply(dy, b),
  () => multiply(dy, a),
]);
const divideOperation = binary("divide", (_a, b, dy, y) => [
  () => divide(dy, b),
  () => negate(divide(multiply(dy, y), b)),
]);

const negateOperation = unary("negate", (_x, dy) => negate(dy));
const expOperation = unary("exp", (_x, dy, y) => multiply(dy, y));
const logOperation = unary("log", (x, dy) => divide(dy, x));
const sqrtOperation = unary("sqrt", (_x, dy, y) => divide(multiply(dy, 0.5), y));
const tanhOperation = unary("tanh", (_x, dy, y) => multiply(dy, subtract(1, multiply(y, y))));
const sigmoidOperation = unary("sigmoid", (_x, dy, y) => multiply(dy, multiply(y, subtract(1, y))));

/** A tensor, or a number that becomes a scalar. */
export type Operand = Tensor | number;

const call2 = (operation: Operation) => (a: Operand, b: Operand) =>
  apply1(operation, [asTensor(a), asTensor(b)]);
const call1 = (operation: Operation) => (x: Tensor) => apply1(operation, [x]);

export const add = call2(addOperation);
export const subtract = call2(subtractOperation);
export const multiply = call2(multiplyOperation);
export const divide = call2(divideOperation);
export const negate = call1(negateOperation);
export const exp = call1(expOperation);
export const log = call1(logOperation);
export const sqrt = call1(sqrtOperation);
export const tanh = call1(tanhOperation);
export const sigmoid = call1(sigmoidOperation);

const lessOrEqualOperation: Operation = {
  name: "lessOrEqual",
  infer: ([a, b]) => {
    if (a!.dtype !== b!.dtype) throw new Error(`cannot compare ${a!.dtype} with ${b!.dtype}`);
    return [{ shape: broadcastShapes(a!.shape, b!.shape), dtype: "bool" }];
  },
};

/** a ≤ b, element by element. */
export const lessOrEqual = (a: Tensor, b: Tensor): Tensor => apply1(lessOrEqualOperation, [a, b]);

const selectOperation: Operation = {
  name: "select",
  infer: ([condition, a, b]) => {
    if (condition!.dtype !== "bool") throw new Error("the condition must be bool");
    expectFloat(a!, b!);
    const shape = broadcastShapes(condition!.shape, broadcastShapes(a!.shape, b!.shape));
    return [{ shape, dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients, needs }) => {
    const [condition, a, b] = inputs as [Tensor, Tensor, Tensor];
    const dy = outputGradients[0]!;
    return [
      undefined,
      needs[1] ? sumTo(select(condition, dy, 0), a.shape) : undefined,
      needs[2] ? sumTo(select(condition, 0, dy), b.shape) : undefined,
    ];
  },
};

/** a where the condition holds, b elsewhere. */
export const select = (condition: Tensor, a: Operand, b: Operand): Tensor =>
  apply1(selectOperation, [condition, asTensor(a), asTensor(b)]);

const castOperation: Operation = {
  name: "cast",
  infer: ([x]) => [{ shape: x!.shape, dtype: "float32" }],
};

/** A stored half-precision weight, or a bool or integer, as float32. */
export const toFloat32 = (x: Tensor): Tensor =>
  x.dtype === "float32" ? x : apply1(castOperation, [x]);
