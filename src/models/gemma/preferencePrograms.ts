import {
  add,
  gatherRows,
  gradients,
  input,
  multiply,
  negate,
  type Program,
  program,
  reshape,
  scatterAddRows,
  subtract,
  sum,
  symbol,
  type Tensor,
} from "../../graph/index.js";
import { logOdds } from "../../nn/logOdds.js";
import { logSigmoid } from "../../nn/logSigmoid.js";
import { forward, type GemmaGraph, gradientName, head, type ProgramOptions } from "./programs.js";

/**
 * What is learned from pairs of answers. `dpo`: Rafailov et al. 2023, arXiv:2305.18290, equation 7, with β; `orpo`: Hong
 * et al. 2024, arXiv:2403.07691, equations 6 and 7, with `beta` for its λ.
 */
export interface PreferenceLoss {
  readonly kind: "dpo" | "orpo";
  readonly beta: number;
}

const [B, R, N] = ["B", "R", "N"].map(symbol);

/**
 * The loss of pairs and what it is made of. Inputs: those of `trainingProgram`; `sequences` int32 `[R]`, the row of `ids`
 * that each place belongs to; `chosen`, `rejected` int32 `[N]`, the rows of `ids` that make a pair; `share` `[N]`, what
 * each pair counts; for DPO `reference` `[N]`, the reference model's log p(chosen) − log p(rejected). A sequence's score
 * is Σ weights · log p over its places: with weights of 1 its log-probability, with 1 / length the mean of its tokens'.
 */
function preference(model: GemmaGraph, options: ProgramOptions & Training, loss: PreferenceLoss) {
  const { hidden, w } = forward(model, options.maxLength, options);
  const { rowLoss } = head(model, hidden, w.embedding);
  const weighted = multiply(rowLoss, input("weights", [R!]));
  const sequences = input("sequences", [R!], "int32");
  const scores = negate(scatterAddRows(reshape(weighted, [R!, 1]), sequences, B!));
  const side = (name: string) => reshape(gatherRows(scores, input(name, [N!], "int32")), [N!]);
  const [chosen, rejected] = [side("chosen"), side("rejected")];
  const { margin, pairLoss } = losses[loss.kind](chosen, rejected, loss.beta);
  return {
    loss: reshape(sum(multiply(pairLoss, input("share", [N!]))), []),
    outputs: { pairLoss, margin, chosenScore: chosen, rejectedScore: rejected },
  };
}

interface Training {
  readonly recompute?: boolean;
  readonly noise?: GemmaGraph["noise"];
}

type Losses = Record<
  PreferenceLoss["kind"],
  (chosen: Tensor, rejected: Tensor, beta: number) => { margin: Tensor; pairLoss: Tensor }
>;

const losses: Losses = {
  dpo: (chosen, rejected, beta) => {
    const margin = multiply(subtract(subtract(chosen, rejected), input("reference", [N!])), beta);
    return { margin, pairLoss: negate(logSigmoid(margin)) };
  },
  orpo: (chosen, rejected, beta) => {
    const margin = subtract(logOdds(chosen), logOdds(rejected));
    return { margin, pairLoss: negate(add(chosen, multiply(logSigmoid(margin), beta))) };
  },
};

/**
 * One training step on pairs, without the optimizer. Outputs: `loss` = Σ share · the pair's loss, `pairLoss`, `margin`,
 * `chosenScore` and `rejectedScore` `[N]`, and `gradient:<parameter>` of `loss`. DPO's margin is the difference of the
 * rewards, β · (log-ratio to the reference); ORPO's is the logarithm of the odds ratio.
 */
export function preferenceProgram(
  model: GemmaGraph,
  options: ProgramOptions & { recompute: boolean },
  kind: PreferenceLoss,
): Program {
  const { loss, outputs } = preference(model, { ...options, noise: model.noise }, kind);
  const slopes = gradients(loss, [...model.trainable.values()]);
  const named = [...model.trainable.keys()].map((name, i) => [gradientName(name), slopes[i]!]);
  return program({ loss, ...outputs, ...Object.fromEntries(named) });
}

/** As `preferenceProgram`, without gradients. */
export function preferenceEvaluationProgram(
  model: GemmaGraph,
  options: ProgramOptions,
  kind: PreferenceLoss,
): Program {
  const { loss, outputs } = preference(model, options, kind);
  return program({ loss, ...outputs });
}
