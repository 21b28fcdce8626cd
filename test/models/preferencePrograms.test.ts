import { describe, expect, test } from "vitest";
import { makePairBatch } from "../../src/data/pairBatches.js";
import type { HostTensor } from "../../src/engines/engine.js";
import { views } from "../../src/engines/parameters.js";
import {
  type PreferenceLoss,
  preferenceProgram,
} from "../../src/models/gemma/preferencePrograms.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { batchInputs } from "../../src/training/gradient.js";
import { type PreferenceScores, preferenceObjective } from "../../src/training/preferences.js";
import { type Array64, evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import { tinyExamples } from "../support/tinyExamples.js";
import * as tiny from "../support/tinyGemma.js";

const [a, b, c, d, e, f] = tinyExamples();
const pairs = { chosen: [a!, b!, e!], rejected: [c!, d!, f!] };
const batch = makePairBatch(pairs, [2, 0], 0);
const adapter = tiny.adapter("qv");
const variables = views(adapter.parameters.slots, adapter.parameters.values);
// B is zero before training, and A would have no gradient.
for (const { data } of Object.values(variables)) {
  data.forEach((value, i) => {
    data[i] = value === 0 ? Math.sin(i) / 10 : value;
  });
}
const model = tiny.graph(adapter);
const names = Object.keys(variables).map((name) => `gradient:${name}`);

const in64 = (inputs: Readonly<Record<string, HostTensor>>): Record<string, Array64> =>
  Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, toArray64(value)]));

/** −Σ log p of each row's answer and how many tokens it has, from the loss of each token in float64. */
const forward = trainingProgram(model, { maxLength: 32, recompute: false });
const places = batchInputs(batch);
const truth = evaluateProgram(forward, in64({ ...places, ...variables }));
const rowOf = (place: number) => Math.floor(place / batch.length);
const sums = [0, 0, 0, 0];
const lengths = [0, 0, 0, 0];
places.rows!.data.forEach((place, i) => {
  sums[rowOf(place)]! -= truth.rowLoss!.data[i]!;
  lengths[rowOf(place)]! += 1;
});

/** A reference model that thinks a little otherwise of each answer; the pairs are 2 and 0. */
const reference = {
  chosen: Float32Array.of(sums[1]! + 1.5, Number.NaN, sums[0]! - 2.25),
  rejected: Float32Array.of(sums[3]! - 3.75, Number.NaN, sums[2]! + 0.5),
};

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Rafailov et al., equation 7 and the gradient below it: what each row's log p is worth to the loss. */
function dpoByHand(beta: number) {
  const margins = [2, 0].map((pair, i) => {
    const ratio = (row: number, ref: Float32Array) => sums[row]! - ref[pair]!;
    return beta * (ratio(i, reference.chosen) - ratio(i + 2, reference.rejected));
  });
  const pairLoss = margins.map((margin) => -Math.log(sigmoid(margin)));
  const slopes = margins.map((margin) => beta * sigmoid(-margin));
  return {
    margins,
    pairLoss,
    tokenWeights: [...slopes, ...slopes.map((slope) => -slope)],
  };
}

/** Hong et al., equations 3 to 7 and appendix A: of P, the geometric mean of the tokens' probabilities. */
function orpoByHand(lambda: number) {
  const p = sums.map((sum, row) => Math.exp(sum / lengths[row]!));
  const odds = p.map((one) => one / (1 - one));
  const margins = [0, 1].map((i) => Math.log(odds[i]! / odds[i + 2]!));
  const pairLoss = margins.map(
    (margin, i) => -Math.log(p[i]!) - lambda * Math.log(sigmoid(margin)),
  );
  // ∂ log odds / ∂ log P = 1 / (1 − P).
  const slopes = margins.map((margin) => lambda * sigmoid(-margin));
  const tokenWeights = p.map((one, row) => {
    const slope = slopes[row % 2]! / (1 - one);
    return (row < 2 ? 1 + slope : -slope) / lengths[row]!;
  });
  return { margins, pairLoss, tokenWeights };
}

describe.each<[PreferenceLoss, PreferenceScores, ReturnType<typeof dpoByHand>]>([
  [{ kind: "dpo", beta: 0.5 }, { kind: "dpo", reference }, dpoByHand(0.5)],
  [{ kind: "orpo", beta: 2 }, { kind: "orpo" }, orpoByHand(2)],
])("the program of %o", (loss, scores, byHand) => {
  const objective = preferenceObjective(scores);
  const inputs = { ...objective.inputs(batch, 2), ...variables };
  const step = preferenceProgram(model, { maxLength: 32, recompute: false }, loss);
  const exact = evaluateProgram(step, in64(inputs));
  const mean = (byHand.pairLoss[0]! + byHand.pairLoss[1]!) / 2;

  test("has the loss and the margins of the paper, in float64", () => {
    const { loss: value, margin, pairLoss } = exact;
    expect(relativeError(margin!.data, byHand.margins)).toBeLessThan(1e-6);
    expect(relativeError(pairLoss!.data, byHand.pairLoss)).toBeLessThan(1e-6);
    expect(Math.abs(value!.data[0]! / mean - 1)).toBeLessThan(1e-6);
  });

  test("has the paper's gradient, each token's log p weighted by hand; the engine and recomputation too", async () => {
    const weights = Float32Array.from(
      places.rows!.data,
      (place) => byHand.tokenWeights[rowOf(place)]! / 2,
    );
    const weighted = { ...places, weights: { data: weights, shape: [weights.length] } };
    const expected = evaluateProgram(forward, in64({ ...weighted, ...variables }));
    for (const name of names) {
      expect(relativeError(exact[name]!.data, expected[name]!.data), name).toBeLessThan(1e-6);
    }
    for (const recompute of [false, true]) {
      const compiled = preferenceProgram(model, { maxLength: 32, recompute }, loss);
      const executable = await tiny.engine.compile(compiled);
      const outputs = await executable.run(inputs);
      await executable.close();
      expect(Math.abs(outputs.loss!.data[0]! / mean - 1)).toBeLessThan(1e-5);
      for (const name of names) {
        expect(relativeError(outputs[name]!.data, expected[name]!.data), name).toBeLessThan(1e-4);
      }
    }
  });
});
