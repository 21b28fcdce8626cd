import { expect, onTestFinished, test, vi } from "vitest";
import { startState } from "../../src/training/loop.js";
import { sgd } from "../../src/training/optimizers/sgd.js";
import { measurePace } from "../../src/training/pace.js";
import { quadraticProgram, rowOf, vector } from "../support/quadraticProgram.js";

test("the pace is that of one micro-batch, by the size of an average step; nothing is trained", async () => {
  let clock = 1000;
  const now = vi.spyOn(performance, "now").mockImplementation(() => clock);
  onTestFinished(() => now.mockRestore());
  const parameters = vector(3, 4);
  const quick = quadraticProgram();
  const program = {
    ...quick,
    async run(...given: Parameters<typeof quick.run>) {
      clock += 40;
      return quick.run(...given);
    },
  };
  // Steps of one and of three micro-batches in turn.
  const source = {
    stepsIn: () => 6,
    batches: (_epoch: number, index: number) =>
      index % 2 === 0 ? [rowOf(1)] : [rowOf(1), rowOf(1), rowOf(1)],
  };
  const options = {
    ...{ program, parameters, source, optimizer: sgd(parameters.slots) },
    ...{ schedule: () => 1, totalSteps: 6, objective: { kind: "mean" } as const },
  };
  expect(await measurePace(options, startState)).toBe(0.08);
  expect([...parameters.values]).toEqual([3, 4]);
  expect(options.optimizer.step).toBe(0);
});
