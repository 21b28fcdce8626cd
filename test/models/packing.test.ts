import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeBatch } from "../../src/data/batches.js";
import { packedBatch } from "../../src/data/packing.js";
import type { Executable } from "../../src/engines/engine.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { computeGradient, type LossReduction } from "../../src/training/gradient.js";
import { relativeError } from "../support/closeness.js";
import { engine, referenceGemma } from "../support/referenceGemma.js";
import { tinyExamples } from "../support/tinyExamples.js";

const examples = tinyExamples();
/** Seven examples in two rows; the longer ones reach beyond the windows of Gemma 2 and 3. */
const packs = [
  [4, 0, 6],
  [5, 1, 3, 2],
];

describe.each(["gemma1_tiny", "gemma2_tiny", "gemma3_tiny"] as const)("packing in %s", (name) => {
  const tiny = referenceGemma(name);
  describe.each([false, true])("recompute %s", (recompute) => {
    const adapter = tiny.adapter("all");
    const { parameters } = adapter;
    let program: Executable;
    beforeAll(async () => {
      const step = trainingProgram(tiny.graph(adapter), { maxLength: 64, recompute });
      program = await engine.compile(step);
    });
    afterAll(async () => await program.close());
    const tokens = examples
      .flatMap(({ isTarget }) => [...isTarget.subarray(1)])
      .filter(Boolean).length;
    const sum: LossReduction = { kind: "mean" };

    test("gives the sum of the examples' own gradients, and their loss", async () => {
      const together = await computeGradient(
        program,
        parameters,
        [packedBatch(examples, packs, 0)],
        sum,
      );
      const packedGradient = parameters.gradients.slice();
      expect(together.targetTokens).toBe(tokens);

      const total = new Float64Array(packedGradient.length);
      let [loss, correct] = [0, 0];
      for (const index of examples.keys()) {
        const alone = await computeGradient(
          program,
          parameters,
          [makeBatch(examples, [index], 0)],
          sum,
        );
        const share = alone.targetTokens / tokens;
        parameters.gradients.forEach((value, i) => {
          total[i]! += value * share;
        });
        loss += alone.lossSum;
        correct += alone.correct;
      }
      expect(relativeError(packedGradient, Float32Array.from(total))).toBeLessThan(5e-6);
      expect(Math.abs(together.lossSum / loss - 1)).toBeLessThan(1e-6);
      expect(together.correct).toBeCloseTo(correct, 4);
    });

    test("no example sees another: what stands beside it changes nothing", async () => {
      const batch = packedBatch(examples, [[4, 6]], 0);
      const first = examples[4]!.ids.length - 1;
      const lossOf = async (change: (ids: Int32Array) => void) => {
        const ids = batch.ids.slice();
        change(ids);
        // Only the second example has targets.
        const weights = batch.weights.map((weight, i) => (i < first ? 0 : weight));
        const changed = { ...batch, ids, weights };
        return (await computeGradient(program, parameters, [changed], sum)).lossSum;
      };
      const before = await lossOf(() => {});
      expect(await lossOf((ids) => ids.fill(7, 0, first))).toBe(before);
      expect(await lossOf((ids) => ids.fill(7, first, first + 1))).not.toBe(before);
    });
  });
});
