import { afterAll, describe, expect, test } from "vitest";
import type { LoraMatrices } from "../../src/formats/loraMatrices.js";
import { storedTensor } from "../../src/formats/safetensors.js";
import type { StoredTensor } from "../../src/formats/storedTensor.js";
import { deltaAdapter, otherDifferences, type Tensors } from "../../src/lora/deltaAdapter.js";
import { openProducts } from "../../src/lora/denseProducts.js";
import { toPeft } from "../../src/lora/peft.js";
import { reducedRank } from "../../src/lora/singularValues.js";
import { largestDifference, relativeError } from "../support/closeness.js";
import { collected } from "../support/collected.js";
import { loraMatrices, updateOf } from "../support/loraMatrices.js";
import * as tiny from "../support/tinyGemma.js";

const products = await openProducts(tiny.engine);
afterAll(() => products.close());

const base: Tensors = new Map(
  [...tiny.weights.tensors].map(([name, info]) => [name, storedTensor(info)]),
);
const stored = (shape: readonly number[], values: Float32Array, piece: number): StoredTensor => ({
  shape,
  dtype: "F32",
  *read() {
    for (let at = 0; at < values.length; at += piece) yield values.slice(at, at + piece);
  },
});

/** The tiny model with updates added to its weights. */
function tuned(matrices: ReadonlyMap<string, LoraMatrices>): Map<string, StoredTensor> {
  const tensors = new Map(base);
  for (const [path, lora] of matrices) {
    const { data, shape } = tiny.weights.tensor(`${path}.weight`);
    const values = Float32Array.from(updateOf(lora), (update, i) => update + data[i]!);
    tensors.set(`${path}.weight`, stored(shape, values, shape[1]! * 5));
  }
  return tensors;
}

const extract = (to: Tensors, rank: number) =>
  collected(deltaAdapter(base, to, tiny.modules, rank, products));

describe("the difference of two models as an adapter", () => {
  test("is the adapter that was merged, at its rank", async () => {
    const { matrices } = toPeft(tiny.adapter("all"));
    const found = await extract(tuned(matrices), 4);
    expect(found.map(({ path }) => path).sort()).toEqual([...matrices.keys()].sort());
    for (const { path, reduced } of found) {
      const wanted = updateOf(matrices.get(path)!);
      expect(relativeError(updateOf(reduced.lora), wanted), path).toBeLessThan(1e-4);
      expect(reduced.kept / reduced.total).toBeCloseTo(1, 6);
    }
  });

  test("has only modules that differ", async () => {
    const [[path, lora]] = [...toPeft(tiny.adapter("qv")).matrices] as [[string, LoraMatrices]];
    const found = await extract(tuned(new Map([[path, lora]])), 2);
    expect(found.map((one) => one.path)).toEqual([path]);
  });

  test("is nearly the best approximation where its rank is lower", async () => {
    const path = "model.layers.0.mlp.up_proj";
    const full = loraMatrices({ rank: 40, inFeatures: 64, outFeatures: 128, scale: 0.01 });
    const [found] = await extract(tuned(new Map([[path, full]])), 6);
    const { reduced } = found!;
    const best = reducedRank(full, 6, "here");
    expect(reduced.total / best.total).toBeCloseTo(1, 4);
    expect(reduced.kept / best.kept).toBeGreaterThan(0.995);
    expect(reduced.kept / best.kept).toBeLessThan(1 + 1e-4);
  });

  test("tells which other tensors differ", () => {
    expect(otherDifferences(base, new Map(base), tiny.modules)).toEqual([]);
    const changed = (name: string, piece: number, change: number) => {
      const { data, shape } = tiny.weights.tensor(name);
      const values = Float32Array.from(data);
      values[values.length - 1]! += change;
      return new Map(base).set(name, stored(shape, values, piece));
    };
    expect(otherDifferences(base, changed("model.norm.weight", 10, 0), tiny.modules)).toEqual([]);
    for (const name of ["model.norm.weight", "model.embed_tokens.weight"]) {
      expect(otherDifferences(base, changed(name, 48, 1), tiny.modules)).toEqual([name]);
    }
  });

  test("is refused for models of different shape", async () => {
    const name = "model.norm.weight";
    const larger = new Map(base).set(name, stored([65], new Float32Array(65), 65));
    await expect(extract(larger, 2)).rejects.toThrow(
      "The models have different shapes: model.norm.weight ([64] and [65]).",
    );
    const fewer = new Map(base);
    fewer.delete(name);
    await expect(extract(fewer, 2)).rejects.toThrow(/model\.norm\.weight \(one lacks it\)/);
  });
});

test("an exact small case: the products of the engine are those of the matrices", async () => {
  const x = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] } as const;
  const y = { data: Float32Array.of(1, 0, 0, 1, 1, 1), shape: [3, 2] } as const;
  const plain = await products.times(x, y);
  expect([[...plain.data], plain.shape]).toEqual([
    [4, 5, 10, 11],
    [2, 2],
  ]);
  const z = { data: Float32Array.of(1, 0, 1, 2), shape: [2, 2] } as const;
  const transposed = await products.transposedTimes(x, z);
  expect([...transposed.data]).toEqual([5, 8, 7, 10, 9, 12]);
  expect(largestDifference(transposed.shape, [3, 2])).toBe(0);
});
