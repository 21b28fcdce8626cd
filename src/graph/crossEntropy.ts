import { elementCount, multiplyDims, sameShape } from "./dim.js";
import { add, multiply } from "./elementwise.js";
import { apply, expectFloat, type Operation, type Tensor } from "./tensor.js";

/** Outputs of the operation, by position. The last two are the gradients of the first. */
const [LOSS, ROW_LOSS, CORRECT, HIDDEN_GRADIENT, TABLE_GRADIENT] = [0, 1, 2, 3, 4];

const crossEntropyOperation: Operation = {
  name: "crossEntropy",
  infer: ([hidden, table, targets, weights]) => {
    expectFloat(hidden!, weights!);
    if (targets!.dtype !== "int32") throw new Error("targets must be int32");
    const [rows, width] = hidden!.shape;
    const fits =
      hidden!.shape.length === 2 &&
      sameShape(table!.shape, [table!.shape[0]!, width!]) &&
      sameShape(targets!.shape, [rows!]) &&
      sameShape(weights!.shape, [rows!]);
    if (!fits) throw new Error("needs hidden [R, D], table [V, D], targets [R], weights [R]");
    return [
      { shape: [], dtype: "float32" },
      { shape: [rows!], dtype: "float32" },
      { shape: [rows!], dtype: "float32" },
      { shape: hidden!.shape, dtype: "float32" },
      { shape: table!.shape, dtype: "float32" },
    ];
  },
  gradient: ({ inputs, outputs, outputGradients, attributes, needs }) => {
    const [dLoss, dRows] = [outputGradients[LOSS], outputGradients[ROW_LOSS]];
    if ([CORRECT, HIDDEN_GRADIENT, TABLE_GRADIENT].some((i) => outputGradients[i] !== undefined)) {
      throw new Error("crossEntropy: only the losses are differentiable");
    }
    const [hidden, table, targets, weights] = inputs as [Tensor, Tensor, Tensor, Tensor];
    const dWeights = dLoss && needs[3] ? multiply(outputs[ROW_LOSS]!, dLoss) : undefined;
    if (dRows === undefined) {
      return [
        needs[0] ? multiply(outputs[HIDDEN_GRADIENT]!, dLoss!) : undefined,
        needs[1] ? multiply(outputs[TABLE_GRADIENT]!, dLoss!) : undefined,
        undefined,
        dWeights,
      ];
    }
    // What each row counts is only known now: a second pass over the logits has it as its weights.
    const total = dLoss === undefined ? dRows : add(dRows, multiply(weights, dLoss));
    const slopes = apply(crossEntropyOperation, [hidden, table, targets, total], attributes);
    return [
      needs[0] ? slopes[HIDDEN_GRADIENT] : undefined,
      needs[1] ? slopes[TABLE_GRADIENT] : undefined,
      undefined,
      dWeights,
    ];
  },
  // The logits and the gradient of the hidden states.
  flops: ({ inputs: [hidden, table] }) =>
    multiplyDims(4, multiplyDims(elementCount(hidden!.shape), table!.shape[0]!)),
};

export interface CrossEntropy {
  /** Σ weights · loss, a scalar. */
  readonly loss: Tensor;
  /** −log p(target) of each row, `[R]`. Its gradient costs a second pass over the logits, that of `loss` none. */
  readonly rowLoss: Tensor;
  /** 1 where no id is more likely than the target, else 0, `[R]`. */
  readonly correct: Tensor;
}

/**
 * Cross-entropy of a language model's head, without ever holding all logits.
 *
 * logits = soft-cap(hidden @ tableᵀ), `[R, V]`, exist only `chunkRows` rows at a time; the gradients
 * come from the same pass, since ∂loss/∂logits = weight · (softmax − one-hot) needs nothing else.
 * hidden `[R, D]`, table `[V, D]` (any stored type), targets int32 `[R]`, weights `[R]`.
 */
export function crossEntropy(
  hidden: Tensor,
  table: Tensor,
  targets: Tensor,
  weights: Tensor,
  options: { chunkRows: number; softCap?: number },
): CrossEntropy {
  const attributes = { chunkRows: options.chunkRows, softCap: options.softCap ?? 0 };
  const inputs = [hidden, table, targets, weights];
  const [loss, rowLoss, correct] = apply(crossEntropyOperation, inputs, attributes);
  return { loss: loss!, rowLoss: rowLoss!, correct: correct! };
}
