import {
  add,
  constant,
  exp,
  lessOrEqual,
  log,
  negate,
  select,
  subtract,
  type Tensor,
} from "../graph/index.js";

/** log σ(x) = min(x, 0) − log(1 + exp(−|x|)), in which no exponential can overflow. */
export function logSigmoid(x: Tensor): Tensor {
  const negative = lessOrEqual(x, constant(0));
  const distance = select(negative, x, negate(x));
  return subtract(select(negative, x, 0), log(add(exp(distance), 1)));
}
