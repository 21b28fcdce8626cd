import { describe, expect, test } from "vitest";
import { FacetError } from "../../src/errors.js";
import {
  type LossWatchOptions,
  refuseBadLosses,
  startOfWatch,
  watchLoss,
} from "../../src/training/lossWatch.js";

const defaults = { divergence: 3, constantSteps: 50 };

function watch(losses: readonly number[], options: LossWatchOptions = defaults): void {
  let state = startOfWatch;
  for (const [i, loss] of losses.entries()) {
    // A checkpoint keeps the state as JSON.
    state = watchLoss(JSON.parse(JSON.stringify(state)), loss);
    refuseBadLosses(state, options, i + 1);
  }
}
const steps = (count: number, loss: (i: number) => number) =>
  Array.from({ length: count }, (_, i) => loss(i));

describe("divergence", () => {
  const falling = steps(40, (i) => 4 - i / 20);
  test("stops a run whose mean loss is far above its lowest, with advice", () => {
    const run = () => watch([...falling, ...steps(40, (i) => 9 + i / 10)]);
    expect(run).toThrow(FacetError);
    expect(run).toThrow(
      /The loss diverges at step 5\d: its mean over 20 steps is \d\.\d+, and was 2\.525 at its lowest/,
    );
    expect(run).toThrow(/lower --learning-rate/);
  });

  test("lets noise and single rows of a high loss pass", () => {
    watch([...falling, 12, ...steps(60, (i) => 2 + (i % 3)), 15]);
  });

  test("has a limit that can be raised, or turned off", () => {
    const losses = [...falling, ...steps(40, (i) => 6 + i / 100)];
    expect(() => watch(losses)).toThrow(/diverges/);
    watch(losses, { ...defaults, divergence: 5 });
    watch([...falling, ...steps(40, (i) => 90 + i)], { ...defaults, divergence: 0 });
  });
});

describe("a constant loss", () => {
  test("stops a run that learns nothing, with advice", () => {
    const run = () => watch([3, ...steps(60, () => 2.5)]);
    expect(run).toThrow(
      /The loss has been 2\.500000 for 50 steps, up to step 51: nothing is learned/,
    );
    expect(run).toThrow(/--learning-rate is not far too small/);
    expect(() => watch(steps(60, (i) => 2.5 * (1 + 1e-9 * i)))).toThrow(/2\.500000/);
  });

  test("is none where it falls slowly, or where nothing is left to learn", () => {
    watch(steps(200, (i) => 2.5 - i * 1e-4));
    watch(steps(200, () => 1e-6));
    watch(
      steps(200, () => 2.5),
      { ...defaults, constantSteps: 0 },
    );
  });
});
