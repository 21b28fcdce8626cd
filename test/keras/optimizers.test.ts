import { describe, expect, test } from "vitest";
import { allocateParameters } from "../../src/engines/parameters.js";
import {
  Adafactor,
  Adam,
  AdamW,
  type KerasOptimizer,
  Lion,
  Muon,
  SGD,
} from "../../src/keras/optimizers.js";
import { adafactor } from "../../src/training/optimizers/adafactor.js";
import { adam } from "../../src/training/optimizers/adam.js";
import { adamW } from "../../src/training/optimizers/adamW.js";
import { lion } from "../../src/training/optimizers/lion.js";
import { muon } from "../../src/training/optimizers/muon.js";
import type { Optimizer } from "../../src/training/optimizers/optimizer.js";
import { sgd } from "../../src/training/optimizers/sgd.js";

const fresh = () =>
  allocateParameters([
    { name: "kernel", shape: [3, 4] },
    { name: "embedding", shape: [2, 2] },
    { name: "bias", shape: [4] },
  ]);

/** Parameters after three steps from 1 along a fixed gradient. */
function trained(make: (parameters: ReturnType<typeof fresh>) => Optimizer, rate: number) {
  const parameters = fresh();
  const values = parameters.values.fill(1);
  const optimizer = make(parameters);
  for (let step = 1; step <= 3; step++)
    optimizer.update(
      values,
      Float32Array.from(values, (_, i) => Math.cos(i * step)),
      rate,
    );
  return values;
}

const { slots } = fresh();

describe("Keras's optimizers", () => {
  // Names and defaults: keras/src/optimizers/{sgd,adam,adamw,adafactor,lion,muon}.py of Keras 3.15.
  test.each<[string, KerasOptimizer, Optimizer, number]>([
    ["SGD", new SGD(), sgd(slots), 0.01],
    [
      "SGD, with options",
      new SGD({ momentum: 0.7, nesterov: true, learningRate: 0.2 }),
      sgd(slots, { momentum: 0.7, nesterov: true }),
      0.2,
    ],
    ["Adam", new Adam(), adam(slots), 1e-3],
    [
      "Adam, with options",
      new Adam({ beta1: 0.5, epsilon: 0.1 }),
      adam(slots, { beta1: 0.5, epsilon: 0.1 }),
      1e-3,
    ],
    ["AdamW", new AdamW(), adamW(slots, { weightDecay: 0.004 }), 1e-3],
    ["Adafactor", new Adafactor(), adafactor(slots), 1e-3],
    [
      "Adafactor, with options",
      new Adafactor({ epsilon2: 2 }),
      adafactor(slots, { epsilon2: 2 }),
      1e-3,
    ],
    ["Lion", new Lion(), lion(slots), 1e-3],
    [
      "Lion, with options",
      new Lion({ beta1: 0.2, weightDecay: 1 }),
      lion(slots, { beta1: 0.2, weightDecay: 1 }),
      1e-3,
    ],
    ["Muon", new Muon(), muon(slots, { weightDecay: 0.004 }), 1e-3],
    [
      "Muon, with options",
      new Muon({ nsSteps: 2, adamLrRatio: 0.5, adamWeightDecay: 1, excludeEmbeddings: false }),
      muon(slots, {
        newtonSchulzSteps: 2,
        adamRateRatio: 0.5,
        weightDecay: 0.004,
        adamWeightDecay: 1,
        excludes: () => false,
      }),
      1e-3,
    ],
  ])("%s has Keras's defaults and hands its options on", (_name, mine, optimizer, rate) => {
    expect(mine.learningRate).toBe(rate);
    expect(trained((parameters) => mine.build(parameters), 0.1)).toEqual(
      trained(() => optimizer, 0.1),
    );
  });

  test("leave variables out of the decay by a part of their name", () => {
    const optimizer = new SGD({ weightDecay: 0.5 });
    optimizer.excludeFromWeightDecay({ varNames: ["bias"] });
    const values = trained((parameters) => optimizer.build(parameters), 0.1);
    const plain = trained((parameters) => new SGD().build(parameters), 0.1);
    expect(values.subarray(16)).toEqual(plain.subarray(16));
    expect(values[0]).toBeLessThan(plain[0]!);
  });
});
