import fc from "fast-check";
import { expect, test } from "vitest";
import { input, program } from "../../src/graph/index.js";
import { doraGain } from "../../src/lora/dora.js";
import { adapterFromPeft, fromPeft, toPeft } from "../../src/lora/peft.js";
import { evaluateProgram, toArray64 } from "../graph/referenceEngine.js";
import { relativeError } from "../support/closeness.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";
import * as tiny from "../support/tinyGemma.js";

test("the gain of a row is its magnitude over the length of the row of W + s·B A", () => {
  const size = fc.integer({ min: 1, max: 7 });
  fc.assert(
    fc.property(size, size, size, fc.nat(100), (rank, inFeatures, outFeatures, seed) => {
      const scale = 0.75;
      const lora = loraMatrices({ rank, inFeatures, outFeatures, scale }, seed);
      const weight = Float64Array.from(
        { length: outFeatures * inFeatures },
        (_, i) => 2 + Math.cos(i * 1.3 + seed),
      );
      const magnitude = Float64Array.from({ length: outFeatures }, (_, i) => i - 1.5);
      const [w, a, b, m] = [
        input("w", [outFeatures, inFeatures]),
        input("a", [rank, inFeatures]),
        input("b", [outFeatures, rank]),
        input("m", [outFeatures]),
      ];
      const { gain } = evaluateProgram(program({ gain: doraGain(w, a, b, m, scale) }), {
        w: { data: weight, shape: w.shape as number[] },
        a: toArray64({ data: lora.a, shape: a.shape as number[] }),
        b: toArray64({ data: lora.b, shape: b.shape as number[] }),
        m: { data: magnitude, shape: [outFeatures] },
      });
      const sum = updateOf(lora).map((update, i) => update + weight[i]!);
      const wanted = magnitude.map((length, row) => {
        const squares = sum.subarray(row * inFeatures, (row + 1) * inFeatures);
        return length / Math.sqrt(squares.reduce((total, x) => total + x * x, 0));
      });
      expect(gain!.shape).toEqual([outFeatures]);
      expect(relativeError(gain!.data, wanted)).toBeLessThan(1e-9);
    }),
  );
});

test("magnitudes are kept on the way from and to PEFT's matrices, and Keras has none", () => {
  const matrices = new Map(
    [...toPeft(tiny.adapter("qv")).matrices].map(([path, lora]) => {
      const magnitude = Float32Array.from({ length: lora.outFeatures }, (_, i) => i + 1);
      return [path, { ...lora, magnitude }] as const;
    }),
  );
  const adapter = adapterFromPeft(matrices, tiny.modules, "here");
  expect(toPeft(adapter).matrices).toEqual(matrices);
  const keras = { ...adapter.config, layout: "keras" as const };
  expect(() => fromPeft(matrices, keras, tiny.modules, "here")).toThrow(
    "here is a DoRA adapter, for which Keras has no variables.",
  );
});
