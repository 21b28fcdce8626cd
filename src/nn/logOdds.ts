import {
  add,
  constant,
  exp,
  lessOrEqual,
  log,
  multiply,
  select,
  subtract,
  type Tensor,
  tanh,
} from "../graph/index.js";

/** Beyond it a float32 probability is 1, whose odds are infinite. */
const LARGEST = -1e-7;

/**
 * log(P / (1 − P)) of log P ≤ 0. 1 − P = tanh(−log P / 2) · (1 + P), which keeps its digits where P is almost 1; log P is
 * taken as at most −1e-7.
 */
export function logOdds(logProbability: Tensor): Tensor {
  const limit = constant(LARGEST);
  const x = select(lessOrEqual(logProbability, limit), logProbability, limit);
  return subtract(x, add(log(tanh(multiply(x, -0.5))), log(add(exp(x), 1))));
}
