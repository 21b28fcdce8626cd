import fc from "fast-check";
import { expect, test } from "vitest";
import { onnxEngine } from "../../src/engines/onnx/engine.js";
import { type Adapter, adapterGraph, createAdapter } from "../../src/lora/adapter.js";
import type { GemmaConfig } from "../../src/models/gemma/config.js";
import { trainableWeights } from "../../src/models/gemma/model.js";
import {
  type GemmaGraph,
  logitsProgram,
  trainingProgram,
} from "../../src/models/gemma/programs.js";
import { gemmaModules, targets } from "../../src/models/gemma/weights.js";
import { createRandom } from "../../src/random.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";

const engine = onnxEngine({ threads: 1 });
const size = { maxLength: 16 };

/** Small models in which no two sizes that could be confused are equal. */
const models: fc.Arbitrary<GemmaConfig> = fc
  .record({
    numLayers: fc.integer({ min: 1, max: 2 }),
    numKeyValueHeads: fc.integer({ min: 1, max: 3 }),
    group: fc.integer({ min: 1, max: 3 }),
    headDim: fc.constantFrom(2, 4, 6),
    hiddenSize: fc.constantFrom(5, 7),
    ropeBase: fc.constantFrom(10, 10_000),
  })
  .map(({ group, ...rest }) => ({
    ...rest,
    numHeads: rest.numKeyValueHeads * group,
    vocabularySize: 11,
    intermediateSize: 8,
    rmsNormEps: 1e-3,
    maxPositions: 16,
  }));

const layouts = fc.constantFrom(undefined, "standard" as const, "keras" as const);

test("any small model, grouped heads and heads that are not D wide included: logits and every gradient are those of float64", async () => {
  await fc.assert(
    fc.asyncProperty(models, layouts, fc.nat(), async (config, layout, seed) => {
      const random = createRandom({ seed, stream: "init" });
      const noise = (shape: readonly number[], scale: number) => ({
        data: Float32Array.from(
          { length: shape.reduce((a, b) => a * b, 1) },
          () => scale * (2 * random.uniform() - 1),
        ),
        shape,
      });
      const adapter: Adapter | undefined =
        layout && createAdapter({ rank: 2, alpha: 3, targets, layout }, gemmaModules(config), seed);
      const weights = trainableWeights(config);
      const lora = adapterGraph(adapter);
      const trainable = new Map([...weights, ...lora.trainable]);
      const model: GemmaGraph = {
        config,
        tensor: (name) => weights.get(name)!,
        adapt: lora.adapt,
        trainable,
      };
      const parameters = Object.fromEntries(
        [...trainable].map(([name, { shape }]) => [name, noise(shape as number[], 0.7)]),
      );
      const ids = { data: noise([2, 5], 1).data, shape: [2, 5] };
      const int = (values: number[], shape: number[]) => ({ data: Int32Array.from(values), shape });
      const places = [0, 1, 2, 3, 5, 8];
      const inputs = {
        ids: int(
          [...ids.data].map((value) => Math.floor(Math.abs(value) * 11)),
          [2, 5],
        ),
        positions: int([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], [2, 5]),
        rows: int(places, [6]),
      };
      const head = { targets: int([1, 10, 3, 3, 0, 7], [6]), weights: noise([6], 1) };

      for (const [program, feeds] of [
        [logitsProgram(model, size), { ...inputs, ...parameters }],
        [
          trainingProgram(model, { ...size, recompute: seed % 2 === 1 }),
          { ...inputs, ...head, ...parameters },
        ],
      ] as const) {
        const exact = Object.fromEntries(
          Object.entries(feeds).map(([name, value]) => [name, toArray64(value)]),
        );
        const truth = evaluateProgram(program, exact);
        const executable = await engine.compile(program);
        const outputs = await executable.run(feeds);
        await executable.close();
        for (const [name, { data, shape }] of Object.entries(truth)) {
          expect(outputs[name]!.shape).toEqual(shape);
          expect(relativeError(outputs[name]!.data, data), name).toBeLessThan(2e-5);
        }
      }
    }),
    { numRuns: 12, seed: 4 },
  );
});

test("scores are scaled by 1 / √headDim, also where heads are not D / heads wide", () => {
  const config: GemmaConfig = {
    vocabularySize: 11,
    numLayers: 2,
    numHeads: 2,
    numKeyValueHeads: 1,
    hiddenSize: 6,
    intermediateSize: 8,
    headDim: 4,
    rmsNormEps: 1e-6,
    ropeBase: 10_000,
    maxPositions: 16,
  };
  const weights = trainableWeights(config);
  const tensor = (name: string) => weights.get(name)!;
  const model = { config, tensor, adapt: () => undefined, trainable: new Map() };
  const scales = logitsProgram(model, size).nodes.map(({ attributes }) => attributes.scale);
  expect(scales.filter((scale) => typeof scale === "number" && scale !== 1)).toEqual([0.5, 0.5]);
});
