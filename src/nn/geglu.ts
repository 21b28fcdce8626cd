import { gelu, multiply, type Tensor } from "../graph/index.js";
import { type Linear, linear } from "./linear.js";

export interface GegluWeights {
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
}

/** down(gelu(gate(x)) · up(x)) (Shazeer 2020, arXiv:2002.05202). x `[N, D]`. */
export const geglu = (x: Tensor, w: GegluWeights): Tensor =>
  linear(multiply(gelu(linear(x, w.gate)), linear(x, w.up)), w.down);
