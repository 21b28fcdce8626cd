import { add, multiply, sigmoid, subtract } from "./elementwise.js";
import { apply1, expectFloat, type Operation, type Tensor } from "./tensor.js";

// tanh GELU written with a sigmoid: ½(1 + tanh u) = σ(2u), u = √(2/π)(x + 0.044715 x³).
const linear = 2 * Math.sqrt(2 / Math.PI);
const cubic = linear * 0.044715;

const geluOperation: Operation = {
  name: "gelu",
  infer: ([x]) => {
    expectFloat(x!);
    return [{ shape: x!.shape, dtype: "float32" }];
  },
  gradient: ({ inputs, outputGradients }) => {
    const x = inputs[0]!;
    const x2 = multiply(x, x);
    const s = sigmoid(multiply(x, add(linear, multiply(x2, cubic))));
    const slope = multiply(multiply(x, subtract(1, s)), add(linear, multiply(x2, 3 * cubic)));
    return [multiply(outputGradients[0]!, multiply(s, add(1, slope)))];
  },
  expand: ([x]) => {
    const z = multiply(x!, add(linear, multiply(multiply(x!, x!), cubic)));
    return [multiply(x!, sigmoid(z))];
  },
};

/** The tanh approximation of GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415), as Gemma uses it. */
export const gelu = (x: Tensor): Tensor => apply1(geluOperation, [x]);
