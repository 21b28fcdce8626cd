import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import { globalNorm } from "../../src/training/gradient.js";
import { type StepReport, startState, type TrainOptions, train } from "../../src/training/loop.js";
import type { Optimizer } from "../../src/training/optimizers/optimizer.js";
import { quadraticProgram, rowOf, vector } from "../support/quadraticProgram.js";

/** Plain gradient descent, which shows what the loop gives to an optimizer. */
const descent = (): Optimizer => ({
  name: "descent",
  step: 0,
  state: new Map(),
  update(values, gradients, learningRate) {
    this.step += 1;
    values.forEach((value, i) => {
      values[i] = value - learningRate * gradients[i]!;
    });
  },
});

function setUp(changes: Partial<TrainOptions> = {}) {
  const reports: StepReport[] = [];
  const options: TrainOptions = {
    program: quadraticProgram(),
    parameters: vector(3, 4),
    optimizer: descent(),
    schedule: () => 0.5,
    source: { stepsIn: () => 2, batches: (_epoch, index) => [rowOf(1 + index)] },
    totalSteps: 4,
    objective: { kind: "mean" },
    onStep: (report) => {
      reports.push(report);
    },
    ...changes,
  };
  return { options, reports, parameters: options.parameters };
}

describe("train", () => {
  test("takes the source's batches in order, epoch after epoch, and updates once a step", async () => {
    const asked: string[] = [];
    const source = {
      stepsIn: () => 3,
      batches: (epoch: number, index: number) => {
        asked.push(`${epoch}.${index}`);
        return [rowOf(1)];
      },
    };
    const { options, parameters } = setUp({ source, totalSteps: 5 });
    const state = await train(options);
    expect(asked).toEqual(["0.0", "0.1", "0.2", "1.0", "1.1"]);
    expect(state).toMatchObject({ step: 5, epoch: 1, index: 2 });
    expect([...parameters.values]).toEqual([3 / 32, 4 / 32]);
    expect(options.optimizer.step).toBe(5);
  });

  test("reports each step, and the epoch so far weighted by rows and by tokens", async () => {
    const { options, reports } = setUp();
    await train(options);
    expect(reports.map(({ step, epoch, epochEnded }) => [step, epoch, epochEnded])).toEqual([
      [1, 0, false],
      [2, 0, true],
      [3, 1, false],
      [4, 1, true],
    ]);
    // ½·25, and a quarter of it after each halving.
    expect(reports.map(({ loss }) => loss)).toEqual([12.5, 3.125, 0.78125, 0.1953125]);
    expect(reports[1]!.epochLoss).toBe((12.5 + 3.125) / 2);
    expect(reports[2]!.epochLoss).toBe(0.78125);
    expect(reports[1]!.epochAccuracy).toBe((0.5 + 1) / 3);
    expect(reports[0]).toMatchObject({
      gradientNorm: 5,
      learningRate: 0.5,
      targetTokens: 1,
      rows: 1,
    });
  });

  test("asks the schedule for steps counted from 0", async () => {
    const steps: number[] = [];
    const schedule = (step: number) => {
      steps.push(step);
      return 0.1;
    };
    await train(setUp({ schedule }).options);
    expect(steps).toEqual([0, 1, 2, 3]);
  });

  test("scales a gradient above the limit down to it, and no other", async () => {
    const { options, parameters, reports } = setUp({ clipNorm: 2.5, totalSteps: 1 });
    await train(options);
    expect(globalNorm(parameters.gradients)).toBeCloseTo(2.5, 6);
    expect([...parameters.values]).toEqual([3 - 0.75, 4 - 1]);
    expect(reports[0]!.gradientNorm).toBe(5);
    expect(reports[0]!.partNorms).toEqual({ p: 5 });
    for (const clipNorm of [5, 8]) {
      const loose = setUp({ clipNorm, totalSteps: 1 });
      await train(loose.options);
      expect([...loose.parameters.values]).toEqual([1.5, 2]);
    }
  });

  test("gives the program what else it wants, by step and micro-batch", async () => {
    const asked: string[] = [];
    const given: number[] = [];
    const program = quadraticProgram();
    const { options } = setUp({
      program: {
        ...program,
        run: (inputs, into) => {
          given.push(inputs.seed!.data[0]!);
          return program.run(inputs, into);
        },
      },
      source: { stepsIn: () => 1, batches: () => [rowOf(1), rowOf(2)] },
      totalSteps: 2,
      extraInputs: (step, microBatch) => {
        asked.push(`${step}.${microBatch}`);
        return { seed: { data: Int32Array.of(10 * step + microBatch), shape: [] } };
      },
    });
    await train(options);
    expect(asked).toEqual(["0.0", "0.1", "1.0", "1.1"]);
    expect(given).toEqual([0, 1, 10, 11]);
  });

  test("stops when asked to, between steps, and goes on from the state it returned", async () => {
    const { options, parameters } = setUp();
    const state = await train({ ...options, shouldStop: () => true });
    expect(state.step).toBe(1);
    await train({ ...options, start: state });
    const whole = setUp();
    await train(whole.options);
    expect(parameters.values).toEqual(whole.parameters.values);
  });

  test("waits for what is done at a step", async () => {
    const order: string[] = [];
    const { options } = setUp({
      totalSteps: 2,
      onStep: async ({ step }) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push(`reported ${step}`);
      },
      schedule: (step) => {
        order.push(`step ${step + 1}`);
        return 0.1;
      },
    });
    await train(options);
    expect(order).toEqual(["step 1", "reported 1", "step 2", "reported 2"]);
  });

  test("does nothing when all steps are done", async () => {
    const { options, parameters } = setUp({ totalSteps: 0 });
    expect(await train(options)).toBe(startState);
    expect([...parameters.values]).toEqual([3, 4]);
  });
});

describe("a bad step is refused before it changes anything", () => {
  test.each([
    ["a loss that is NaN", () => Number.NaN, /The loss is not a finite number at step 2/],
    [
      "an infinite loss",
      () => Number.POSITIVE_INFINITY,
      /The loss is not a finite number at step 2/,
    ],
    [
      "a gradient that is NaN",
      (loss: number, gradient: Float32Array) => {
        gradient[1] = Number.NaN;
        return loss;
      },
      /The gradient is not a finite number at step 2 \(learning rate 0\.5\)\. Going back from the loss, the gradient of \w+ is the first that is not finite \(1 of 1 are not\)/,
    ],
    [
      "an infinite gradient",
      (loss: number, gradient: Float32Array) => {
        gradient[0] = Number.NEGATIVE_INFINITY;
        return loss;
      },
      /The gradient is not a finite number at step 2/,
    ],
    [
      "gradients that are all zero",
      (loss: number, gradient: Float32Array) => {
        gradient.fill(0);
        return loss;
      },
      /Every gradient is zero at step 2/,
    ],
  ])("%s", async (_what, spoil, message) => {
    const program = quadraticProgram((step, loss, gradient) =>
      step === 2 ? spoil(loss, gradient) : loss,
    );
    const { options, parameters, reports } = setUp({ program });
    const run = train(options);
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toThrow(FacetError);
    expect([...parameters.values]).toEqual([1.5, 2]);
    expect(options.optimizer.step).toBe(1);
    expect(reports).toHaveLength(1);
  });

  test("a batch without any target", async () => {
    const source = { stepsIn: () => 1, batches: () => [rowOf(0)] };
    await expect(train(setUp({ source }).options)).rejects.toThrow(FacetError);
  });
});
