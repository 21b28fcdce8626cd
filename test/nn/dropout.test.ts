import { describe, expect, test } from "vitest";
import { views } from "../../src/engines/parameters.js";
import { gradients, input, program, reshape, sum } from "../../src/graph/index.js";
import { adapterGraph, createAdapter } from "../../src/lora/adapter.js";
import { trainingProgram } from "../../src/models/gemma/programs.js";
import { dropout } from "../../src/nn/dropout.js";
import { batchInputs } from "../../src/training/gradient.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import * as tiny from "../support/tinyGemma.js";

const seed = input("seed", [], "int32");
const x = input("x", [200, 50]);
const ones = { data: new Float64Array(10_000).fill(1), shape: [200, 50] };
const seedOf = (value: number) => ({ data: Float64Array.of(value), shape: [] });

describe("dropout", () => {
  test.each([0.1, 0.5, 0.9])(
    "at rate %d zeroes that share and scales the rest, so the mean stays",
    (rate) => {
      const p = program({ y: dropout(x, { rate, seed }, 0) });
      const { data } = evaluateProgram(p, { x: ones, seed: seedOf(7) }).y!;
      const kept = data.filter((value) => value !== 0);
      expect(Math.abs(1 - kept.length / data.length - rate)).toBeLessThan(0.02);
      for (const value of kept) expect(value).toBeCloseTo(1 / (1 - rate), 5);
    },
  );

  test("drops in the gradient what it dropped in the value", () => {
    const y = dropout(x, { rate: 0.5, seed }, 0);
    const [dx] = gradients(reshape(sum(y), []), [x]);
    const values = evaluateProgram(program({ y, dx: dx! }), { x: ones, seed: seedOf(7) });
    expect(values.dx!.data).toEqual(values.y!.data);
  });

  test("draws anew for another seed and for another stream", () => {
    const p = program({
      a: dropout(x, { rate: 0.5, seed }, 0),
      b: dropout(x, { rate: 0.5, seed }, 1),
    });
    const [one, two] = [7, 8].map((value) => evaluateProgram(p, { x: ones, seed: seedOf(value) }));
    expect(one!.a!.data).not.toEqual(one!.b!.data);
    expect(one!.a!.data).not.toEqual(two!.a!.data);
  });
});

describe("an adapter with dropout", () => {
  const rate = 0.3;
  const config = {
    rank: 4,
    alpha: 8,
    targets: ["q_proj", "down_proj"],
    layout: "standard",
  } as const;
  const adapter = createAdapter({ ...config, dropout: rate }, tiny.modules, 1);
  const { slots, values } = adapter.parameters;
  values.forEach((value, i) => {
    values[i] = value === 0 ? Math.sin(i) / 10 : value;
  });
  const batch = tiny.batch("pad");
  const step = (recompute: boolean, withDropout = true) =>
    trainingProgram(
      {
        ...tiny.graph(),
        ...adapterGraph(
          adapter,
          withDropout ? { dropoutSeed: input("dropoutSeed", [], "int32") } : {},
        ),
      },
      { maxLength: 32, recompute },
    );
  const inputs = { ...batchInputs(batch, batch.targetTokens), ...views(slots, values) };
  const run = async (p: ReturnType<typeof step>, dropoutSeed?: number) => {
    const executable = await tiny.engine.compile(p);
    const seeds =
      dropoutSeed === undefined
        ? {}
        : { dropoutSeed: { data: Int32Array.of(dropoutSeed), shape: [] } };
    const outputs = await executable.run({ ...inputs, ...seeds });
    await executable.close();
    return outputs;
  };

  test("gives float64's gradients, and the same ones when activations are recomputed", async () => {
    const exact = Object.fromEntries(Object.entries(inputs).map(([n, v]) => [n, toArray64(v)]));
    const truth = evaluateProgram(step(false), { ...exact, dropoutSeed: seedOf(99) });
    for (const recompute of [false, true]) {
      const outputs = await run(step(recompute), 99);
      for (const [name, { data }] of Object.entries(truth)) {
        expect(relativeError(outputs[name]!.data, data), name).toBeLessThan(1e-5);
      }
    }
  });

  test("drops in training only, and other things at every step", async () => {
    const [one, two] = [await run(step(false), 1), await run(step(false), 2)];
    const plain = await run(step(false, false));
    const losses = [one, two, plain].map(({ loss }) => loss!.data[0]!);
    expect(new Set(losses).size).toBe(3);
    expect(step(false, false).inputs.has("dropoutSeed")).toBe(false);
  });

  test.each([-0.1, 1, Number.NaN])("cannot have a rate of %d", (dropout) => {
    expect(() => createAdapter({ ...config, dropout }, tiny.modules, 1)).toThrow(
      `LoRA dropout must be at least 0 and below 1, not ${dropout}.`,
    );
  });
});
