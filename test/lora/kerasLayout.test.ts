import { describe, expect, test } from "vitest";
import { views } from "../../src/engines/parameters.js";
import { readPeftAdapter } from "../../src/formats/peft.js";
import { fromPeft, toPeft } from "../../src/lora/peft.js";
import { logitsProgram, trainingProgram } from "../../src/models/gemma/programs.js";
import { computeGradient } from "../../src/training/gradient.js";
import { train } from "../../src/training/loop.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { expected, fit, kerasAdapter, kerasBatch, kerasName } from "../support/kerasFit.js";
import { fixture } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const maxLength = 32;
const sequenceLength = expected.sequence_length as number;
const reduction = { kind: "keras", sequenceLength } as const;

const compile = (adapter: ReturnType<typeof kerasAdapter>) =>
  tiny.engine.compile(trainingProgram(tiny.graph(adapter), { maxLength, recompute: false }));

describe("LoRA in Keras's layout", () => {
  test("has Keras's variables and count", () => {
    const { slots, values } = kerasAdapter("init").parameters;
    const shapes = Object.fromEntries(slots.map(({ name, shape }) => [kerasName(name), shape]));
    const theirs = expected.lora_variables.map((v: { path: string; shape: number[] }) => [
      v.path,
      v.shape,
    ]);
    expect(shapes).toEqual(Object.fromEntries(theirs));
    expect(values.length).toBe(expected.params.trainable);
  });

  test("gives Keras's logits where there are targets", async () => {
    const adapter = kerasAdapter("init");
    const executable = await tiny.engine.compile(logitsProgram(tiny.graph(adapter), { maxLength }));
    const { ids, weights, size, length } = kerasBatch(0, 2);
    const shape = [size, length];
    const rows = Int32Array.from(weights.keys()).filter((place) => weights[place] === 1);
    const { logits } = await executable.run({
      ids: { data: ids, shape },
      positions: { data: ids.map((_, i) => i % length), shape },
      rows: { data: rows, shape: [rows.length] },
      ...views(adapter.parameters.slots, adapter.parameters.values),
    });
    await executable.close();
    const theirs = fit.tensor("logits_step1").data as Float32Array;
    // Keras's rows are 32 long; ours end where all are padding.
    const wanted = [...rows].flatMap((place) => {
      const row = Math.floor(place / length) * 32 + (place % length);
      return [...theirs.subarray(row * 512, (row + 1) * 512)];
    });
    expect(rows.length).toBe(expected.loss_denominator.valid);
    expect(largestDifference(logits!.data, wanted)).toBeLessThan(2e-5);
  });

  test("gives Keras's loss and gradients: divided by rows × sequence length, padding included", async () => {
    const adapter = kerasAdapter("init");
    const executable = await compile(adapter);
    const { parameters } = adapter;
    const result = await computeGradient(executable, parameters, [kerasBatch(0, 2)], reduction);
    await executable.close();
    const facts = expected.loss_denominator;
    expect(Math.abs(result.loss / facts.keras_loss - 1)).toBeLessThan(1e-6);
    expect(result.targetTokens).toBe(facts.valid);
    expect(result.lossSum / result.targetTokens).toBeCloseTo(facts["sum_over_valid/valid"], 5);
    const gradients = views(parameters.slots, parameters.gradients);
    for (const [name, { data }] of Object.entries(gradients)) {
      const wanted = fit.tensor(`grad_step1/${kerasName(name)}`).data;
      expect(relativeError(data, wanted), name).toBeLessThan(1e-5);
    }
  });

  test.each([
    { epochs: 1, rows: 2, key: "batch2_1epoch", after: "after_fit_batch2" },
    { epochs: 2, rows: 1, key: "batch1_2epochs", after: "after_fit_batch1_2epochs" },
    { epochs: 1, rows: 4, key: "batch4_1epoch_last_partial", after: undefined },
  ])("fits as Keras: $key", async ({ epochs, rows, key, after }) => {
    const adapter = kerasAdapter("init");
    const executable = await compile(adapter);
    const { slots, values } = adapter.parameters;
    const running: { loss: number; sparse_categorical_accuracy: number }[] = [];
    const history: number[] = [];
    const stepsPerEpoch = Math.ceil(6 / rows);
    await train({
      program: executable,
      parameters: adapter.parameters,
      optimizer: adamW(slots, { weightDecay: 0.01 }),
      schedule: () => 5e-3,
      source: {
        stepsIn: () => stepsPerEpoch,
        batches: (_epoch, i) => [kerasBatch(i * rows, Math.min(6, (i + 1) * rows))],
      },
      totalSteps: epochs * stepsPerEpoch,
      objective: reduction,
      onStep: ({ epochLoss, epochAccuracy, epochEnded }) => {
        running.push({ loss: epochLoss, sparse_categorical_accuracy: epochAccuracy });
        if (epochEnded) history.push(epochLoss);
      },
    });
    await executable.close();
    const theirs = expected.fit[key];
    expect(running).toHaveLength(theirs.running.length);
    for (const metric of ["loss", "sparse_categorical_accuracy"] as const) {
      const [mine, wanted] = [running, theirs.running as typeof running].map((steps) =>
        steps.map((step) => step[metric]),
      );
      mine!.forEach((value, i) => {
        expect(Math.abs(value - wanted![i]!), `${metric} ${i}`).toBeLessThan(
          1e-5 * Math.max(wanted![i]!, 1e-3),
        );
      });
    }
    expect(relativeError(history, theirs.history.loss)).toBeLessThan(1e-5);
    if (after === undefined) return;
    for (const [name, { data }] of Object.entries(views(slots, values))) {
      expect(relativeError(data, fit.tensor(`${after}/${kerasName(name)}`).data)).toBeLessThan(
        1e-5,
      );
    }
  });

  test("has an exact PEFT twin: A stacked over heads, B in blocks", () => {
    const twin = readPeftAdapter(fixture("keras_gemma1_tiny/peft_from_keras")).matrices;
    const { rank, matrices } = toPeft(kerasAdapter("init"));
    expect(rank).toBe(16);
    for (const [path, mine] of matrices) {
      const theirs = twin.get(path)!;
      const { inFeatures, outFeatures } = mine;
      expect(theirs.scale).toBe(mine.scale);
      // Ours has every module at the largest rank; what is beyond a module's own is zero.
      const a = Float32Array.from(mine.a, (_, i) => theirs.a[i] ?? 0);
      const b = Float32Array.from(mine.b, (_, i) => {
        const [row, column] = [Math.floor(i / rank), i % rank];
        return column < theirs.rank ? theirs.b[row * theirs.rank + column]! : 0;
      });
      expect([mine.a, mine.b]).toEqual([a, b]);
      expect([inFeatures, outFeatures]).toEqual([theirs.inFeatures, theirs.outFeatures]);
    }
    const adapter = kerasAdapter("init");
    const back = fromPeft(twin, adapter.config, tiny.modules, "twin");
    expect(back.parameters.values).toEqual(adapter.parameters.values);
  });
});
