import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Parameters, views } from "../../src/engines/parameters.js";
import { FacetError } from "../../src/errors.js";
import { input, program, symbol } from "../../src/graph/index.js";
import { type Adapter, changesNothing, createAdapter } from "../../src/lora/adapter.js";
import type { LoraConfig } from "../../src/lora/config.js";
import { adapterFromPeft, fromPeft, toPeft } from "../../src/lora/peft.js";
import { loraDelta, loraVariables } from "../../src/lora/variables.js";
import { gemmaModules, targets } from "../../src/models/gemma/weights.js";
import type { LinearModule } from "../../src/nn/linear.js";
import { createRandom } from "../../src/random.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import * as tiny from "../support/tinyGemma.js";

/** Small layers of every kind, two heads where there are heads. */
const modules = gemmaModules({
  vocabularySize: 9,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  hiddenSize: 6,
  intermediateSize: 10,
  headDim: 4,
  rmsNormEps: 1e-6,
  ropeBase: 1e4,
  maxPositions: 16,
});

const configs: fc.Arbitrary<LoraConfig> = fc.record({
  rank: fc.integer({ min: 1, max: 3 }),
  alpha: fc.constantFrom(1, 2, 8),
  targets: fc.subarray([...targets], { minLength: 1 }),
  layout: fc.constantFrom("keras" as const, "standard" as const),
});

/** An adapter whose variables are all random, B's too, on a grid so that scaling is exact. */
function randomAdapter(config: LoraConfig, seed: number): Adapter {
  const adapter = createAdapter(config, modules, seed);
  const random = createRandom({ seed, stream: "sampling" });
  const { values } = adapter.parameters;
  values.forEach((_, i) => {
    values[i] = random.below(65) / 32 - 1;
  });
  return adapter;
}

/** What the adapter adds to this module's output for the rows of the identity: its update, transposed. */
function updateOf(adapter: Adapter, module: LinearModule): Float64Array {
  const { config, parameters } = adapter;
  const variables = views(parameters.slots, parameters.values);
  const delta = loraDelta(config, module, (name) => input(name, variables[name]!.shape));
  const n = module.inFeatures;
  const y = delta(input("x", [symbol("N"), n]));
  const identity = Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));
  const values = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, toArray64(value)]),
  );
  return evaluateProgram(program({ y }), { ...values, x: { data: identity, shape: [n, n] } }).y!
    .data;
}

describe("an adapter", () => {
  test("has the same effect in either layout as its PEFT matrices: scale · B A", () => {
    fc.assert(
      fc.property(configs, fc.nat(), (config, seed) => {
        const adapter = randomAdapter(config, seed);
        const { rank, matrices } = toPeft(adapter);
        expect([...matrices.keys()]).toEqual(adapter.modules.map(({ path }) => path));
        for (const module of adapter.modules) {
          const { a, b, scale } = matrices.get(module.path)!;
          const { inFeatures, outFeatures } = module;
          const direct = Float64Array.from({ length: inFeatures * outFeatures }, (_, i) => {
            const [column, row] = [Math.floor(i / outFeatures), i % outFeatures];
            let sum = 0;
            for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * inFeatures + column]!;
            return scale * sum;
          });
          expect(largestDifference(updateOf(adapter, module), direct)).toBeLessThan(1e-5);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("comes back from its PEFT matrices, in its own layout and in PEFT's", () => {
    fc.assert(
      fc.property(configs, fc.nat(), (config, seed) => {
        // A power of two as scale, so that nothing is rounded on the way.
        const adapter = randomAdapter({ ...config, alpha: config.rank * 2 }, seed);
        const { matrices } = toPeft(adapter);
        if (config.layout === "keras") {
          const back = fromPeft(matrices, adapter.config, modules, "here");
          expect(back.parameters.values).toEqual(adapter.parameters.values);
        }
        const peft = adapterFromPeft(matrices, modules, "here");
        expect(peft.config.layout).toBe("standard");
        for (const module of adapter.modules) {
          const difference = largestDifference(updateOf(peft, module), updateOf(adapter, module));
          expect(difference).toBeLessThan(1e-12);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("merges into the weights that PEFT's merge gives: W + scale · B A", () => {
    const { rank, matrices } = toPeft(tiny.adapter("qv"));
    for (const target of ["q_proj", "v_proj"]) {
      const path = `model.layers.0.self_attn.${target}`;
      const { a, b, scale, inFeatures } = matrices.get(path)!;
      const merged = Float32Array.from(tiny.weights.tensor(`${path}.weight`).data, (w, i) => {
        const [row, column] = [Math.floor(i / inFeatures), i % inFeatures];
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * inFeatures + column]!;
        return w + scale * sum;
      });
      const wanted = tiny.lora("qv").tensor(`merged/${path}.weight`).data;
      expect(relativeError(merged, wanted)).toBeLessThan(1e-6);
    }
  });
});

describe("a new adapter", () => {
  const parts = ({ slots, values }: Parameters) => Object.entries(views(slots, values));

  test.each(["keras", "standard"] as const)(
    "changes nothing and starts within its bounds (%s)",
    (layout) => {
      const config: LoraConfig = { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout };
      const adapter = createAdapter(config, tiny.modules, 7);
      const { parameters } = adapter;
      expect(changesNothing(adapter)).toBe(true);
      for (const [name, { data }] of parts(parameters)) {
        const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        if (name.endsWith("lora_b")) expect(largest).toBe(0);
        else {
          const heads = name.includes("q_proj") ? 4 : 1;
          const bound = layout === "keras" ? Math.sqrt(6 / (64 * heads)) : 1 / 8;
          expect(largest).toBeLessThanOrEqual(bound);
          expect(largest).toBeGreaterThan(0.95 * bound);
          const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
          expect(Math.abs(mean)).toBeLessThan(0.15 * bound);
        }
      }
    },
  );

  test("is the same for the same seed, another for another, and different in every layer", () => {
    const config: LoraConfig = { rank: 4, alpha: 4, targets: ["q_proj"], layout: "standard" };
    const made = [1, 1, 2].map((seed) => createAdapter(config, tiny.modules, seed).parameters);
    expect(made[0]!.values).toEqual(made[1]!.values);
    expect(made[0]!.values).not.toEqual(made[2]!.values);
    const a = parts(made[0]!).filter(([name]) => name.endsWith("lora_a"));
    expect(a).toHaveLength(3);
    expect(a[0]![1].data).not.toEqual(a[1]![1].data);
  });

  test("has its variables module by module, A before B", () => {
    const config: LoraConfig = {
      rank: 2,
      alpha: 2,
      targets: ["v_proj", "q_proj"],
      layout: "standard",
    };
    const names = loraVariables(config, tiny.modules).map(({ name }) => name);
    expect(names.slice(0, 4)).toEqual([
      "model.layers.0.self_attn.q_proj.lora_a",
      "model.layers.0.self_attn.q_proj.lora_b",
      "model.layers.0.self_attn.v_proj.lora_a",
      "model.layers.0.self_attn.v_proj.lora_b",
    ]);
  });
});

describe("an adapter changes nothing", () => {
  const adapter = randomAdapter({ rank: 2, alpha: 2, targets: ["q_proj"], layout: "keras" }, 1);
  const { parameters } = adapter;
  const zeroed = (name: RegExp): Adapter => {
    const values = parameters.values.slice();
    for (const [slot, { data }] of Object.entries(views(parameters.slots, values))) {
      if (name.test(slot)) data.fill(0);
    }
    return { ...adapter, parameters: { ...parameters, values } };
  };

  test.each([
    ["all its variables have values", /none/, false],
    ["every B is zero", /lora_b/, true],
    ["every A is zero", /lora_a/, true],
    ["one of two layers is zero", /layers\.1.*lora_b/, false],
    ["one layer lacks A, the other B", /layers\.1.*lora_b|layers\.0.*lora_a/, true],
  ])("when %s", (_, name, nothing) => {
    expect(changesNothing(zeroed(name))).toBe(nothing);
  });

  test("but for DoRA nobody knows without the base model", () => {
    expect(changesNothing({ ...zeroed(/./), magnitudes: new Map() })).toBe(false);
  });
});

describe("what cannot be is refused", () => {
  const choose = (changes: Partial<LoraConfig>) => () => {
    const config: LoraConfig = { rank: 4, alpha: 4, targets: ["q_proj"], layout: "standard" };
    return createAdapter({ ...config, ...changes }, tiny.modules, 0);
  };

  test.each([
    [
      "an unknown target",
      choose({ targets: ["q_porj"] }),
      /Unknown LoRA target "q_porj". Did you mean "q_proj"\?/,
    ],
    ["no target", choose({ targets: [] }), /at least one target layer, of q_proj, k_proj/],
    ["rank 0", choose({ rank: 0 }), /rank must be a whole number from 1 to 64 .*, not 0/],
    ["rank 1.5", choose({ rank: 1.5 }), /not 1\.5/],
    [
      "a rank above the layer's smaller side",
      choose({ rank: 17, targets: ["v_proj"] }),
      /from 1 to 16 \(the smaller side of model\.layers\.0\.self_attn\.v_proj, 16 × 64\), not 17/,
    ],
    ["alpha 0", choose({ alpha: 0 }), /alpha must be positive, not 0/],
    ["alpha NaN", choose({ alpha: Number.NaN }), /alpha must be positive, not NaN/],
  ])("%s", (_what, build, message) => {
    expect(build).toThrow(message);
    expect(build).toThrow(FacetError);
  });

  const { matrices } = toPeft(tiny.adapter("qv"));
  const path = "model.layers.0.self_attn.q_proj";
  const keras: LoraConfig = { rank: 4, alpha: 4, targets: ["q_proj", "v_proj"], layout: "keras" };

  test("PEFT matrices for a layer that the model does not have, or of another size", () => {
    const one = matrices.get(path)!;
    const stranger = new Map([["model.layers.9.self_attn.q_proj", one]]);
    expect(() => adapterFromPeft(stranger, tiny.modules, "/a")).toThrow(
      "/a adapts model.layers.9.self_attn.q_proj, which the base model does not have.",
    );
    const small = new Map([[path, { ...one, inFeatures: 32, a: one.a.slice(0, 128) }]]);
    expect(() => adapterFromPeft(small, tiny.modules, "/a")).toThrow(
      `/a: ${path} is 64 × 32 in the adapter and 64 × 64 in the base model.`,
    );
  });

  test("PEFT matrices that Keras's shared B cannot hold", () => {
    expect(() => fromPeft(matrices, keras, tiny.modules, "/a")).toThrow(
      /\/a: the update of .*q_proj has no exact form with Keras's variables at rank 4/,
    );
  });
});
