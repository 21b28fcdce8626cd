import { headName } from "../../formats/peftLabels.js";
import {
  crossEntropy,
  gatherRows,
  gradients,
  input,
  matmul,
  multiply,
  type Program,
  program,
  sum,
  symbol,
} from "../../graph/index.js";
import {
  chunkRows,
  forward,
  type GemmaGraph,
  gradientName,
  type ProgramOptions,
} from "./programs.js";

const R = symbol("R");

/** Hidden states of the last tokens, `[R, hidden]`, which the program input `rows` names, and the head. */
function pooled(
  model: GemmaGraph,
  { maxLength, ...training }: ProgramOptions & { recompute?: boolean; noise?: GemmaGraph["noise"] },
) {
  const { hidden } = forward(model, maxLength, training);
  return {
    last: gatherRows(hidden, input("rows", [R], "int32")),
    score: model.tensor(headName),
  };
}

function losses(...given: Parameters<typeof pooled>) {
  const { last, score } = pooled(...given);
  const targets = input("targets", [R], "int32");
  const weights = input("weights", [R]);
  const options = { chunkRows: chunkRows(score.shape[0] as number) };
  const { loss, correct } = crossEntropy(last, score, targets, weights, options);
  return { loss, correct: sum(multiply(correct, weights)) };
}

/**
 * One training step of a classifier, without the optimizer. Inputs: `ids`, `positions` int32 `[B, T]`; `rows` int32 `[R]`,
 * the place (row-major in `[B·T]`) of each text's last token; `targets` int32 `[R]`, its class, and `weights` `[R]`, what
 * it counts; and every trainable parameter. Outputs: `loss` = Σ weights · cross-entropy, `correct` = Σ weights · [best
 * class = target], and `gradient:<parameter>` of `loss`. Logits are not soft-capped, as in Transformers.
 */
export function classificationProgram(
  model: GemmaGraph,
  options: ProgramOptions & { recompute: boolean },
): Program {
  const outputs = losses(model, { ...options, noise: model.noise });
  const slopes = gradients(outputs.loss, [...model.trainable.values()]);
  const named = [...model.trainable.keys()].map((name, i) => [gradientName(name), slopes[i]!]);
  return program({ ...outputs, ...Object.fromEntries(named) });
}

/** As `classificationProgram`, without gradients. */
export const classificationEvaluationProgram = (
  model: GemmaGraph,
  options: ProgramOptions,
): Program => program(losses(model, options));

/** Inputs `ids`, `positions` and `rows`; output `logits` `[R, classes]`. */
export function classLogitsProgram(model: GemmaGraph, options: ProgramOptions): Program {
  const { last, score } = pooled(model, options);
  return program({ logits: matmul(last, score, { transposeB: true }) });
}
